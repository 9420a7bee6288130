from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk.errors import ConfigError
from ropewalk.observe.log import ErrorLog, write_all

LINE = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[%d\] \[(\w+)\] (.*)\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "error.log"


@pytest.fixture
def log(path: Path) -> Iterator[ErrorLog]:
    log = ErrorLog()
    log.configure(str(path), "info")
    yield log
    log.configure("-", "info")


def test_a_line_has_time_process_level_and_text(log: ErrorLog, path: Path) -> None:
    log.warning("%d of %s", 3, "seven")
    match = re.fullmatch(LINE % os.getpid(), path.read_text())
    assert match is not None
    assert match.groups() == ("WARNING", "3 of seven")


def test_what_is_below_the_level_is_not_written(log: ErrorLog, path: Path) -> None:
    log.debug("hidden")
    log.info("shown")
    assert log.is_enabled("info")
    assert not log.is_enabled("debug")
    assert [line.rpartition(" ")[2] for line in path.read_text().splitlines()] == ["shown"]


def test_an_exception_comes_with_its_traceback(log: ErrorLog, path: Path) -> None:
    try:
        raise ValueError("wrong")
    except ValueError as error:
        log.exception("while testing")
        caught = error
    log.error("later", exc_info=caught)
    text = path.read_text()
    assert text.count("ValueError: wrong") == 2
    assert text.count("Traceback (most recent call last):") == 2


def test_a_message_that_does_not_fit_its_arguments_is_written_all_the_same(log: ErrorLog, path: Path) -> None:
    log.error("%d", "x")
    assert "%d ('x',)" in path.read_text()


def test_a_percent_sign_without_arguments_is_itself(log: ErrorLog, path: Path) -> None:
    log.error("100% of them")
    assert "100% of them" in path.read_text()


def test_text_that_no_encoding_has_is_written(log: ErrorLog, path: Path) -> None:
    log.error("%s", "\udc80")
    assert "\\udc80" in path.read_text()


def test_writing_to_what_is_closed_or_full_never_raises(log: ErrorLog, path: Path) -> None:
    os.close(log.descriptor)
    log.error("lost")
    os.open("/dev/full", os.O_WRONLY)  # the lowest free descriptor: the one that was closed
    log.error("lost too")
    assert not write_all(log.descriptor, b"x")


def test_a_file_that_was_moved_away_is_made_again(log: ErrorLog, path: Path) -> None:
    log.info("before")
    path.rename(path.with_suffix(".1"))
    log.info("between")
    log.reopen()
    log.info("after")
    assert path.with_suffix(".1").read_text().count("\n") == 2
    assert path.read_text().endswith("after\n")


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--error-logfile .*: cannot be opened: No such file or directory"):
        ErrorLog().configure(str(tmp_path / "missing" / "x.log"), "info")


def test_standard_error_is_the_default(capfd: pytest.CaptureFixture[str]) -> None:
    log = ErrorLog()
    log.configure("-", "info")
    log.info("here")
    assert capfd.readouterr().err.endswith("here\n")
