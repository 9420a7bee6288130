"""What is dropped is reported, once for each name and within limits."""

from __future__ import annotations

import pytest

from ropewalk.http.forwarded import KNOWN
from ropewalk.wsgi.dropped_fields import MAX_REPORTS, DroppedFields
from tests.helpers.embedded import Talk, answering

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: b\r\nX-Forwarded-Prefix: /b\r\napi_key: secret\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: c\r\nConnection: close\r\n\r\n"


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capfd.readouterr().err.splitlines() if "Dropped" in line]


def test_each_field_of_a_proxy_is_reported_once(capfd: pytest.CaptureFixture[str]) -> None:
    dropped = DroppedFields()
    for _ in range(2):
        for key in KNOWN.values():
            dropped.report_forwarded(key)
    assert len(lines(capfd)) == len(KNOWN)


def test_names_with_an_underscore_are_limited_and_leave_room_for_those_of_proxies(
    capfd: pytest.CaptureFixture[str],
) -> None:
    dropped = DroppedFields()
    for number in range(MAX_REPORTS * 2):
        dropped.report_underscore(f"a_{number}")
        dropped.report_underscore(f"A_{number}")
    assert len(lines(capfd)) == MAX_REPORTS
    dropped.report_forwarded(KNOWN["x-forwarded-prefix"])
    assert len(lines(capfd)) == 1


def test_a_server_reports_what_it_drops(talk: Talk, capfd: pytest.CaptureFixture[str]) -> None:
    talk.ask(answering(), REQUEST * 3 + LAST)
    found = lines(capfd)
    for message in (
        "Dropped the field x-forwarded-host of a request from a trusted proxy: if the proxy sets it, add it to --forw",
        "Dropped the field x-forwarded-prefix of a request from a trusted proxy: ",
        "Dropped the field 'api_key', which has an underscore in its name: ",
    ):
        assert len([line for line in found if message in line]) == 1
    assert len(found) == 3
    assert "secret" not in "".join(found)


def test_fields_of_strangers_and_those_that_are_trusted_are_not_reported(
    talk: Talk, capfd: pytest.CaptureFixture[str]
) -> None:
    talk.ask(answering(), LAST, forwarded_allow_ips="192.0.2.1")
    talk.ask(answering(), LAST, forwarded_fields="x-forwarded-host")
    assert lines(capfd) == []
