"""What the logs say of a request that the server itself responds to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ropewalk.errors import ProtocolError
from ropewalk.metrics.counters import Metrics
from ropewalk.runtime.refusals import MAX_LINES, SECONDS, Refusals
from ropewalk.wsgi.response_head import DefaultFields
from tests.helpers.embedded import Talk, answering
from tests.helpers.http_client import GET

WaitFor = Callable[[Callable[[], object], str], None]

HOST = b"Host: shop.example\r\n"


def lines(text: str) -> list[str]:
    """The messages of level warning."""
    return re.findall(r"\[WARNING\] (.*)", text)


@pytest.mark.parametrize(
    ("request_octets", "line"),
    [
        (b"GET /a?b HTTP/1.1\r\n\r\n", "Refused GET '/a?b' from 127.0.0.1 with 400: no Host"),
        (
            b"GET /a HTTP/1.1\r\nHost: x\r\nbad field\r\n\r\n",
            "Refused GET '/a' from 127.0.0.1 with 400: bad field line 'bad field\\r\\n'",
        ),
        (
            b"\x16\x03\x01\r\n\r\n",
            "Refused a request from 127.0.0.1 with 400: it speaks HTTPS, and this port speaks HTTP",
        ),
        (b"\x16", "Refused a request from 127.0.0.1 with 400: it speaks HTTPS, and this port speaks HTTP"),
        (b"\x00GET /", "Refused a request from 127.0.0.1 with 400: no method in b'\\x00GET /'"),
        (b"GET / HTTP/1.1\r\n" + HOST * 2 + b"\r\n", "Refused GET '/' from 127.0.0.1 with 400: repeated Host"),
        (
            b"POST /a HTTP/1.1\r\n" + HOST + b"content-length: 1\r\n" * 2 + b"\r\n",
            "Refused POST '/a' from 127.0.0.1 with 400: repeated Content-Length",
        ),
        (b"GET / HTTP/2.0\r\n\r\n", "Refused GET '/' from 127.0.0.1 with 505: HTTP/2.0"),
        (
            b"POST /up HTTP/1.1\r\n" + HOST + b"Content-Length: 2000\r\n\r\n",
            "Refused POST '/up' from 127.0.0.1 with 413: content of 2000 octets",
        ),
        (
            b"GET /" + b"a" * 300 + b" HTTP/1.1\r\n\r\n",
            f"Refused GET '/{'a' * 199}' from 127.0.0.1 with 400: no Host",
        ),
        (
            b"GET / HTTP/1.1\r\n" + HOST + b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: \x1b\xe9\r\n\r\n",
            "Refused GET '/' from 127.0.0.1 with 400: bad field line 'X-Forwarded-Proto: \\x1bé\\r\\n'",
        ),
        (
            b"GET / HTTP/1.1\r\n" + HOST + b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: gopher\r\n\r\n",
            "Refused GET '/' from 127.0.0.1 (forwarded for '192.0.2.1') with 400: forwarded scheme 'gopher'",
        ),
    ],
)
@pytest.mark.parametrize("is_split", [False, True])
def test_a_refused_request_is_a_warning_with_address_and_reason(
    talk: Talk, capfd: pytest.CaptureFixture[str], request_octets: bytes, line: str, is_split: bool
) -> None:
    server = talk.serve_as_worker(answering(), limit_request_body=1000, forwarded_allow_ips="127.0.0.1")
    client = talk.connect(server)
    if is_split:
        first, line_feed, rest = request_octets.partition(b"\n")
        client.send(first + line_feed)
        client.send(rest)
    else:
        client.send(request_octets)
    assert client.read_all().startswith(b"HTTP/1.1 ")
    found = lines(capfd.readouterr().err)
    if b"\x16" in request_octets:
        found = [each.partition("\\n")[0].rstrip("\\r") for each in found]
        line = line.partition("\\r")[0]
    assert found == [line]


def test_overload_says_which_limit_it_was(talk: Talk, capfd: pytest.CaptureFixture[str]) -> None:
    server = talk.serve_as_worker(answering(), limit_connections=1)
    first, second = talk.connect(server), talk.connect(server)
    assert second.read_all().startswith(b"HTTP/1.1 503 ")
    first.sock.close()
    assert lines(capfd.readouterr().err) == [
        "Refused a request from 127.0.0.1 with 503: overloaded: more connections than --limit-connections"
    ]


def test_a_peer_without_its_proxy_header_is_a_warning(talk: Talk, capfd: pytest.CaptureFixture[str]) -> None:
    server = talk.serve_as_worker(answering(), proxy_protocol="v1", proxy_allow_from="127.0.0.1")
    client = talk.connect(server)
    client.send(GET)
    client.read_all()
    assert re.fullmatch(r"Disconnected 127\.0\.0\.1: .*PROXY.*", lines(capfd.readouterr().err)[0])
    server = talk.serve_as_worker(answering(), proxy_protocol="v1", proxy_allow_from="192.0.2.1")
    assert talk.connect(server).read_all() == b""
    assert lines(capfd.readouterr().err) == ["Disconnected 127.0.0.1: not in --proxy-allow-from"]


def test_the_access_log_has_a_request_line_that_was_good(talk: Talk, tmp_path: Path, wait_for: WaitFor) -> None:
    path = tmp_path / "access.log"
    settings: dict[str, Any] = {"access_log": str(path), "access_log_format": '%(h)s "%(r)s" %(m)s %(U)s %(q)s %(s)s'}
    server = talk.serve_as_worker(answering(), **settings)
    for octets in (
        b"GET /a%20b?c HTTP/1.1\r\n\r\n",
        b"GET /field HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
        b"GET /tab\tHTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    ):
        client = talk.connect(server)
        client.send(octets)
        client.read_all()
    wait_for(lambda: path.read_text().count("\n") == 4, "four lines")
    assert path.read_text().splitlines() == [
        '127.0.0.1 "GET /a%20b?c HTTP/1.1" GET /a%20b c 400',
        '127.0.0.1 "GET /field HTTP/1.1" GET /field  400',
        '127.0.0.1 "-" - -  400',
        '127.0.0.1 "-" - -  414',
    ]


def test_the_json_access_log_has_it_too(talk: Talk, tmp_path: Path, wait_for: WaitFor) -> None:
    path = tmp_path / "access.log"
    server = talk.serve_as_worker(answering(), access_log=str(path), access_log_format="json")
    client = talk.connect(server)
    client.send(b"GET /a?b HTTP/1.1\r\n\r\n")
    client.read_all()
    wait_for(lambda: path.read_text().count("\n") == 1, "a line")
    line = json.loads(path.read_text())
    assert (line["method"], line["target"], line["protocol"], line["status"]) == ("GET", "/a?b", "HTTP/1.1", 400)


class Later:
    """Collects what is to be called later."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        self.calls.append((seconds, call))


def test_more_lines_than_the_limit_are_counted_instead(capfd: pytest.CaptureFixture[str]) -> None:
    later = Later()
    refusals = Refusals(Metrics(), DefaultFields(""), None, None, later)
    for _ in range(MAX_LINES):
        refusals.on_disconnected(("192.0.2.1", 1), "a reason")
    assert len(lines(capfd.readouterr().err)) == MAX_LINES
    refusals.on_disconnected(("192.0.2.1", 1), "a reason")
    refusals.on_disconnected(("192.0.2.1", 1), "a reason")
    assert lines(capfd.readouterr().err) == []
    [(seconds, report)] = later.calls
    assert seconds == SECONDS
    report()
    assert lines(capfd.readouterr().err) == ["Refused without a line each: 2 with no response"]
    refusals.on_disconnected("", "another reason")
    assert lines(capfd.readouterr().err) == ["Disconnected a Unix socket's peer: another reason"]
    assert len(later.calls) == 2
    later.calls[1][1]()
    assert lines(capfd.readouterr().err) == []


def test_each_status_has_lines_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as stack:
        talk = Talk(stack)
        server = talk.serve_as_worker(answering())
        for octets in [b"nonsense\r\n\r\n"] * (MAX_LINES + 3) + [b"GET / HTTP/3.0\r\n\r\n"]:
            client = talk.connect(server)
            client.send(octets)
            client.read_all()
        found = lines(capfd.readouterr().err)
        assert len(found) == MAX_LINES + 1
        assert found[-1].endswith(" with 505: HTTP/3.0")
    assert lines(capfd.readouterr().err) == ["Refused without a line each: 3 with 400"]


def test_a_timeout_has_its_own_report(capfd: pytest.CaptureFixture[str]) -> None:
    refusals = Refusals(Metrics(), DefaultFields(""), None, None, Later())
    connection = SimpleNamespace(exchange=None)
    assert refusals.on_refused(connection, ProtocolError(504, "timeout"))[1] == ""
    assert lines(capfd.readouterr().err) == []
