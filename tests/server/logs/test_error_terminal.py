"""Messages for a person at a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk.logs.error_log import ErrorLog
from ropewalk.logs.terminal import COLORS

TIME = r"\d\d:\d\d:\d\d"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "error.log"


@pytest.fixture
def log(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ErrorLog]:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    log = ErrorLog()
    log.configure(str(path), "info", "terminal")
    yield log
    log.configure("-", "info")


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
def test_line_has_the_time_and_the_level(log: ErrorLog, path: Path, level: str) -> None:
    getattr(log, level)("%d of %s", 3, "seven", request_id="ab")
    assert re.fullmatch(rf"{TIME} {level}: 3 of seven \(request id ab\)\n", path.read_text())


def test_info_needs_no_word(log: ErrorLog, path: Path) -> None:
    log.info("Ready")
    assert re.fullmatch(rf"{TIME} Ready\n", path.read_text())


def test_routine_is_left_out_and_counted(log: ErrorLog, path: Path) -> None:
    log.routine("Handling signal: %s", "int")
    assert path.read_text() == ""
    assert (log.counts(), log.lost) == ({"info": 1}, 0)


@pytest.mark.parametrize(("format", "level"), [("terminal", "debug"), ("plain", "info"), ("json", "info")])
def test_routine_is_written_where_somebody_wants_to_know_everything(
    log: ErrorLog, path: Path, format: str, level: str
) -> None:
    log.configure(str(path), level, format)
    log.routine("Handling signal: %s", "int")
    assert "Handling signal: int" in path.read_text()


def test_routine_is_of_the_level_info(log: ErrorLog, path: Path) -> None:
    log.configure(str(path), "warning", "plain")
    log.routine("Handling signal: int")
    assert (path.read_text(), log.counts()) == ("", {})


def test_traceback_follows(log: ErrorLog, path: Path) -> None:
    try:
        raise ValueError("wrong\nvalue\x1b[2J")
    except ValueError:
        log.exception("it failed")
    lines = path.read_text().splitlines()
    assert re.fullmatch(f"{TIME} error: it failed", lines[0])
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-2:] == ["ValueError: wrong", "    value\\x1b[2J"]


def test_lines_from_elsewhere_are_left_as_they_are(log: ErrorLog, path: Path) -> None:
    log.text("one\ntwo\n")
    assert path.read_text() == "one\ntwo\n"


def test_level_is_in_a_color(log: ErrorLog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    log.configure(str(path), "info", "terminal")
    log.error("it failed")
    assert f"\x1b[38;5;{COLORS['red']}merror:\x1b[0m it failed" in path.read_text()
