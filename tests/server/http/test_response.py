"""RFC 9112 sections 4 and 6: how a response is framed and encoded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import format_datetime

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.http.head import HTTP_10, HTTP_11
from ropewalk.http.response import Framing, error_response, imf_fixdate, response_framing, status_line
from ropewalk.http.status import has_content


@pytest.mark.parametrize(
    ("method", "version", "status_code", "content_length", "framing"),
    [
        ("GET", HTTP_11, 200, 5, Framing.LENGTH),
        ("GET", HTTP_11, 200, 0, Framing.LENGTH),
        ("GET", HTTP_11, 200, None, Framing.CHUNKED),
        ("GET", HTTP_10, 200, None, Framing.CLOSE),
        ("GET", HTTP_10, 200, 5, Framing.LENGTH),
        ("HEAD", HTTP_11, 200, 5, Framing.NONE),
        ("HEAD", HTTP_11, 200, None, Framing.NONE),
        ("GET", HTTP_11, 204, None, Framing.NONE),
        ("GET", HTTP_11, 304, 5, Framing.NONE),
        ("GET", HTTP_10, 304, None, Framing.NONE),
    ],
)
def test_the_framing_of_a_response(
    method: str, version: int, status_code: int, content_length: int | None, framing: Framing
):
    assert response_framing(has_content(method, status_code), version, content_length) is framing


def test_a_status_line_has_the_highest_version_of_ours():
    assert status_line("200 OK") == "HTTP/1.1 200 OK\r\n"
    assert status_line("200 ") == "HTTP/1.1 200 \r\n"


def test_a_status_line_keeps_its_second_space_without_a_reason_phrase():
    """RFC 9112 section 4: a server MUST send it."""
    assert status_line("200") == "HTTP/1.1 200 \r\n"


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31)))
def test_a_date_is_an_imf_fixdate(moment: datetime):
    t = moment.timetuple()
    date = imf_fixdate(t.tm_year, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, t.tm_wday)
    assert date == format_datetime(moment.replace(microsecond=0, tzinfo=UTC), usegmt=True)


TEXT = "500 Internal Server Error\nRequest ID: a-1\n"


@pytest.mark.parametrize(
    ("accept", "media_type", "content"),
    [
        ("", "text/plain; charset=utf-8", TEXT),
        (
            "text/html,application/json;q=0.9",
            "text/plain; charset=utf-8",
            TEXT,
        ),
        ("*/*", "text/plain; charset=utf-8", TEXT),
        *(
            (
                accept,
                "application/problem+json",
                '{"type":"about:blank","status":500,"title":"Internal Server Error","request_id":"a-1"}\n',
            )
            for accept in ("application/json", "text/plain, Application/Problem+JSON")
        ),
    ],
)
def test_a_response_of_our_own_names_the_id_to_report(accept: str, media_type: str, content: str):
    head, _, sent = error_response(500, "GET", extra="", request_id="a-1", accept=accept).decode().partition("\r\n\r\n")
    assert f"\r\nContent-Type: {media_type}\r\nContent-Length: {len(content)}\r\n" in head
    assert sent == content


def test_problem_details_are_json_without_an_id_too():
    content = error_response(404, "GET", extra="", accept="application/json").partition(b"\r\n\r\n")[2]
    assert json.loads(content) == {"type": "about:blank", "status": 404, "title": "Not Found"}


@pytest.mark.parametrize("status_code", [400, 408, 413, 414, 417, 431, 500, 501, 503, 505])
@pytest.mark.parametrize("method", ["GET", "HEAD", ""])
def test_a_response_of_our_own_is_a_whole_one(status_code: int, method: str):
    date = "Date: Sat, 21 Nov 2026 05:00:00 GMT\r\n"
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method or "GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(error_response(status_code, method, extra=date))
    head = connection.next_event()
    assert isinstance(head, h11.Response)
    assert head.status_code == status_code
    fields = dict(head.headers)
    assert fields[b"connection"] == b"close"
    assert fields[b"date"]
    content = b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data)
        content += event.data
    assert content == (b"" if method == "HEAD" else f"{status_code} {head.reason.decode()}\n".encode())
    if method == "HEAD":
        assert int(fields[b"content-length"]) > 0  # what GET would have had (RFC 9110 section 8.6)
    assert connection.trailing_data[0] == b""
