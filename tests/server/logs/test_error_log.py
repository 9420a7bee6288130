from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import ErrorLog
from ropewalk.logs.names import Names
from ropewalk.logs.wsgi_errors import WsgiErrors

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


FORGED = "\n[2026-11-21 05:00:00 +0000] [1] [INFO] forged\n127.0.0.1 - - forged\r\x1b[31m\x85\u2028\u202e"


def raise_chain() -> None:
    """Exceptions whose texts come from a peer, each raised in a way that tracebacks show differently."""
    try:
        try:
            raise ConfigError("--bind", FORGED, FORGED)
        except ConfigError as error:
            error.add_note(FORGED)
            raise KeyError(FORGED) from error
    except KeyError:
        raise ExceptionGroup(FORGED, [ValueError(FORGED)]) from None


@pytest.mark.parametrize("is_grouped", [False, True])
def test_text_of_an_exception_cannot_forge_a_message(log: ErrorLog, path: Path, is_grouped: bool) -> None:
    try:
        if is_grouped:
            raise_chain()
        try:
            raise ConfigError("--bind", FORGED, FORGED)
        except ConfigError as error:
            error.add_note(FORGED)
            raise ValueError(FORGED) from error
    except Exception:
        log.exception("while testing %s", FORGED)
    lines = path.read_text().split("\n")
    assert re.fullmatch(LINE % os.getpid(), lines[0] + "\n")
    at_the_margin = [line for line in lines[1:] if line[:1].strip()]
    if not is_grouped:
        assert at_the_margin == [
            "Traceback (most recent call last):",
            f"ropewalk.errors.ConfigError: --bind={FORGED!r}: ",
            "The above exception was the direct cause of the following exception:",
            "Traceback (most recent call last):",
            "ValueError: ",
        ]
    else:
        assert at_the_margin == []
    assert all(line.replace("\t", " ").isprintable() for line in lines)
    assert "    127.0.0.1 - - forged\\r\\x1b[31m\\x85\\u2028\\u202e" in lines


def test_text_that_no_encoding_has_is_written(log: ErrorLog, path: Path) -> None:
    log.error("%s", "\udc80")
    assert "\\udc80" in path.read_text()


def test_writing_to_what_is_closed_or_full_never_raises(log: ErrorLog, path: Path) -> None:
    os.close(log.descriptor)
    log.error("lost")
    os.open("/dev/full", os.O_WRONLY)  # the lowest free descriptor: the one that was closed
    log.error("lost too")
    assert log.lost == 2


def test_lost_messages_are_reported_when_the_log_can_be_written_again(path: Path) -> None:
    path.symlink_to("/dev/full")
    log = ErrorLog()
    log.configure(str(path), "info")
    for _ in range(3):
        log.error("lost")
    path.unlink()
    log.reopen()
    log.info("after")
    log.info("and on")
    messages = [line.partition("] [")[2] for line in path.read_text().splitlines()]
    assert [line.partition("] ")[2] for line in messages] == [
        "[WARNING] 3 log messages were lost (No space left on device)",
        "[INFO] after",
        "[INFO] and on",
    ]
    log.configure("-", "info")


def test_messages_are_counted_by_level(log: ErrorLog) -> None:
    log.debug("not written")
    log.info("one")
    log.error("two")
    log.error("three", exc_info=ValueError("x"))
    assert log.counts() == {"info": 1, "error": 1, "exception": 1}
    log.reset_counts()
    assert log.counts() == {}


def test_names_are_in_each_message(path: Path) -> None:
    log = ErrorLog()
    log.configure(str(path), "info", names=Names("node-2", "shop.3"))
    log.info("one")
    log.text("lines of an application\n")
    log.configure(str(path), "info", names=Names(replica="shop.3"))
    log.info("two")
    lines = path.read_text().splitlines(keepends=True)
    texts = [found[2] for line in lines if (found := re.fullmatch(LINE % os.getpid(), line))]
    assert texts == ["[node-2/shop.3] one", "[shop.3] two"]
    path.write_text("")
    log.configure(str(path), "info", "json", names=Names("node-2"))
    log.info("three")
    message = json_lines(path)[0]
    assert (message["node"], "replica" in message, message["message"]) == ("node-2", False, "three")
    log.configure("-", "info")


def json_lines(path: Path) -> list[dict[str, Any]]:
    octets = path.read_bytes()
    assert octets.isascii()
    assert octets.endswith(b"\n")
    return [json.loads(line) for line in octets.splitlines()]


def test_as_json_every_message_is_one_line(path: Path) -> None:
    log = ErrorLog()
    log.configure(str(path), "info", "json")
    log.info("%s\n\u2028\udc80\x00", "a")
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        log.exception("while testing")
    log.text("lines\nof a trace\n")
    log.error("named", request_id="abc")
    log.error("%d", "x")
    messages = json_lines(path)
    assert [each["message"] for each in messages] == [
        "a\n\u2028\udc80\x00",
        "while testing",
        "lines\nof a trace",
        "named",
        "%d ('x',)",
    ]
    assert all(each["pid"] == os.getpid() and datetime.fromisoformat(each["time"]).tzinfo for each in messages)
    assert [each["level"] for each in messages] == ["info"] + ["error"] * 4
    assert messages[1]["exception"] == "ValueError: first\nsecond"
    assert messages[1]["traceback"].startswith("Traceback (most recent call last):\n")
    assert messages[3]["request_id"] == "abc"
    log.configure("-", "info")


def test_what_an_application_writes_is_a_message_a_line(path: Path) -> None:
    log = ErrorLog()
    log.configure(str(path), "info", "json")
    stream = WsgiErrors(log)
    print("one", file=stream)
    print("two\n\nthree", end="", file=stream)
    stream.flush()
    stream.flush()
    other = threading.Thread(target=lambda: print("of another thread", file=stream))
    stream.write("begun ")
    other.start()
    other.join()
    stream.writelines(["and ", "ended\n"])
    assert [each["message"] for each in json_lines(path)] == [
        "one",
        "two",
        "three",
        "of another thread",
        "begun and ended",
    ]
    with pytest.raises(TypeError):
        stream.write(b"octets")
    stream.write("x" * 100_000)
    assert len(json_lines(path)[-1]["message"]) == 100_000
    log.configure("-", "info")


def test_a_file_that_was_moved_away_is_made_again(log: ErrorLog, path: Path) -> None:
    log.info("before")
    path.rename(path.with_suffix(".1"))
    log.info("between")
    log.reopen()
    log.info("after")
    assert path.with_suffix(".1").read_text().count("\n") == 2
    assert path.read_text().endswith("after\n")


def test_a_file_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--error-logfile=.*: cannot be opened: No such file or directory"):
        ErrorLog().configure(str(tmp_path / "missing" / "x.log"), "info")


def test_standard_error_is_the_default(capfd: pytest.CaptureFixture[str]) -> None:
    log = ErrorLog()
    log.configure("-", "info")
    log.info("here")
    assert capfd.readouterr().err.endswith("here\n")


def test_a_relative_path_can_move_to_another_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ErrorLog()
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    log.configure("log", "info")
    try:
        log.relocate("log")
        log.info("first")
        monkeypatch.chdir(tmp_path / "two")
        log.relocate("log")
        log.info("second")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError):
            log.relocate("gone/log")
        log.reopen()
        log.info("third")
    finally:
        log.configure("-", "info")
    assert (tmp_path / "one" / "log").read_text().split()[-1:] == ["first"]
    assert [line.split()[-1] for line in (tmp_path / "two" / "log").read_text().splitlines()] == ["second", "third"]


def test_standard_error_stays_where_it_is() -> None:
    log = ErrorLog()
    log.configure("-", "info")
    log.relocate("-")
    assert log.is_standard_error
