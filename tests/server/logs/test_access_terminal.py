"""Access lines for a person: every column where it is looked for, every color in words too."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ropewalk.logs.access_format import compile_format
from ropewalk.logs.access_record import AccessRecord
from ropewalk.logs.terminal import COLORS

TIME = r"\d\d:\d\d:\d\d"


@pytest.fixture(autouse=True)
def no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def line(**changes: Any) -> str:
    environ = {"REQUEST_METHOD": "GET", "RAW_URI": "/shop?q=1", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "::1"}
    environ |= changes.pop("environ", {})
    values: dict[str, Any] = {
        "environ": environ,
        "status": "200 OK",
        "headers": [],
        "body_bytes": 1234,
        "seconds": 0.0123,
        "is_complete": True,
    }
    return compile_format("terminal")(AccessRecord(**{**values, **changes}))


def rest(text: str) -> str:
    """The line after its time."""
    match = re.fullmatch(f"{TIME} (.*)", text)
    assert match is not None, text
    return match[1]


def test_line_has_status_duration_size_and_target() -> None:
    assert rest(line()) == "200 12.3 ms   1.2 kB  GET /shop?q=1"


def test_columns_stay_in_their_places() -> None:
    lines = [line(), line(seconds=123.4, body_bytes=0, status="404 Not Found"), line(seconds=0.0, body_bytes=10**9)]
    assert len({each.index("GET") for each in lines}) == 1


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"seconds": 0.999}, ""),
        ({"seconds": 1.0}, "  slow"),
        ({"waiting": 0.9, "seconds": 0.2}, "  slow: waited for a thread"),
        ({"is_complete": False}, "  aborted"),
        ({"environ": {"REMOTE_ADDR": "192.0.2.7"}}, "  from 192.0.2.7"),
        ({"environ": {"REMOTE_ADDR": ""}}, ""),
        ({"request_id": "ab12"}, "  ab12"),
        ({"seconds": 2.0, "is_complete": False}, "  slow  aborted"),
    ],
)
def test_what_is_unusual_is_said_in_words(changes: dict[str, Any], note: str) -> None:
    assert rest(line(**changes)).partition("GET /shop?q=1")[2] == note


def test_refused_request_has_no_target() -> None:
    text = compile_format("terminal")(AccessRecord({}, "400 Bad Request", [], 0, 0.0, True))
    assert rest(text) == "400  0.0 ms      0 B  -"


def test_control_characters_of_a_client_do_not_reach_the_terminal() -> None:
    text = line(environ={"RAW_URI": "/\x1b[2J\n", "REMOTE_ADDR": "\x1b]0;x\x07"}, status="2\x1b0", request_id="\x9b1m")
    assert text.isprintable()
    assert text.isascii()


@pytest.mark.parametrize(
    ("status", "color"),
    [("101", "gray"), ("204", "green"), ("302", "blue"), ("404", "amber"), ("500", "red"), ("999", "red")],
)
def test_status_is_in_the_color_of_its_class(monkeypatch: pytest.MonkeyPatch, status: str, color: str) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert f" \x1b[38;5;{COLORS[color]}m{status}\x1b[0m " in line(status=f"{status} Reason")


def test_slow_duration_is_in_a_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    amber = f"\x1b[38;5;{COLORS['amber']}m"
    assert f"{amber}  1.5 s\x1b[0m" in line(seconds=1.5)
    assert amber not in line(seconds=0.5)
