"""RFC 9110 section 15: reason phrases, and which responses have content."""

from __future__ import annotations

import pytest

from ropewalk.http import grammar
from ropewalk.http.status import has_content, reason_phrase


@pytest.mark.parametrize(
    ("status_code", "phrase"),
    [
        (200, "OK"),
        (400, "Bad Request"),
        (408, "Request Timeout"),
        (413, "Content Too Large"),
        (414, "URI Too Long"),
        (417, "Expectation Failed"),
        (431, "Request Header Fields Too Large"),
        (501, "Not Implemented"),
        (503, "Service Unavailable"),
        (505, "HTTP Version Not Supported"),
        (299, ""),
    ],
)
def test_a_reason_phrase(status_code: int, phrase: str):
    assert reason_phrase(status_code) == phrase


def test_every_reason_phrase_can_stand_in_a_status_line():
    for status_code in range(200, 600):
        assert grammar.STATUS.fullmatch(f"{status_code} {reason_phrase(status_code)}")


@pytest.mark.parametrize(
    ("method", "status_code", "expected"),
    [
        ("GET", 200, True),
        ("HEAD", 200, False),
        ("HEAD", 404, False),
        ("head", 200, True),
        ("GET", 204, False),
        ("GET", 205, True),
        ("GET", 304, False),
        ("GET", 100, False),
        ("GET", 199, False),
        ("POST", 500, True),
    ],
)
def test_whether_a_response_may_have_content(method: str, status_code: int, expected: bool):
    assert has_content(method, status_code) is expected
