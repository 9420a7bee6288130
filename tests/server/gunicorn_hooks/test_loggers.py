"""gunicorn's loggers: what is written through them, or through handlers that were taken from them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk.gunicorn_hooks.loggers import ACCESS, ERROR, connect, connect_named, level_name, without_effect
from ropewalk.logs.access_log import AccessLog
from ropewalk.logs.error_log import get_logger

NAMES = (ERROR, ACCESS)


@pytest.fixture(autouse=True)
def of_its_own() -> Iterator[None]:
    """Nobody has asked for the loggers yet."""
    known = logging.Logger.manager.loggerDict
    before = {name: known.pop(name) for name in NAMES if name in known}
    yield
    for name in NAMES:
        known.pop(name, None)
    known.update(before)


@pytest.fixture
def error_log(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "error.log"
    get_logger().configure(str(path), "warning")
    yield path
    get_logger().configure("-", "info")


def test_the_error_logger_writes_to_the_error_log_with_its_level(error_log: Path) -> None:
    connect("warning", None)
    logger = logging.getLogger(ERROR)
    assert logger.level == logging.WARNING
    logger.info("not enabled")
    logger.warning("%d carts", 3)
    try:
        raise KeyError("price")
    except KeyError:
        logger.exception("failed")
    lines = error_log.read_text().splitlines()
    assert lines[0].endswith("] [WARNING] 3 carts")
    assert lines[1].endswith("] [ERROR] failed")
    assert lines[2] == "Traceback (most recent call last):"
    assert lines[-1] == "KeyError: 'price'"


def test_a_logger_that_takes_the_handlers_decides_about_its_level(error_log: Path) -> None:
    connect("warning", None)
    own = logging.Logger("shop", logging.DEBUG)
    own.handlers = logging.getLogger(ERROR).handlers
    own.debug("details")
    own.log(35, "between")
    first, second = error_log.read_text().splitlines()
    assert first.endswith("] [DEBUG] details")
    assert second.endswith("] [WARNING] between")


def test_a_formatter_of_the_application_decides_about_the_line(error_log: Path) -> None:
    connect("info", None)
    for handler in logging.getLogger(ERROR).handlers:
        handler.setFormatter(logging.Formatter("<%(name)s %(message)s>"))
    logging.getLogger(ERROR).error("down")
    assert error_log.read_text() == "<gunicorn.error down>\n"


def test_a_record_that_cannot_be_formatted_raises_nothing(error_log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    connect("info", None)
    logging.getLogger(ERROR).error("%d", "x")
    assert "Logging error" in capfd.readouterr().err
    assert error_log.read_text() == ""


def test_connecting_twice_adds_nothing(error_log: Path) -> None:
    for _ in range(2):
        connect("info", None)
    assert [len(logging.getLogger(name).handlers) for name in NAMES] == [1, 1]
    assert not any(logging.getLogger(name).propagate for name in NAMES)


@pytest.mark.parametrize(("format", "line"), [("%(U)s", "a\\nb"), ("json", "a\nb")])
def test_the_access_logger_writes_lines_to_the_access_log(tmp_path: Path, format: str, line: str) -> None:
    log = AccessLog(str(tmp_path / "access.log"), format)
    connect("info", None)
    logging.getLogger(ACCESS).info("before the access log is open")
    connect("info", log)
    logging.getLogger(ACCESS).info("a\nb")
    log.close()
    [written] = (tmp_path / "access.log").read_text().splitlines()
    assert (json.loads(written)["message"] if format == "json" else written) == line


def test_only_what_the_application_named_and_left_bare_is_connected_later(
    error_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # those of pytest
    connect_named("info", None)
    assert not set(NAMES) & set(logging.Logger.manager.loggerDict)
    own = logging.Logger("shop", logging.INFO)
    own.handlers = logging.getLogger(ERROR).handlers  # the snippet in many applications, before the handler is there
    logging.getLogger(ACCESS).addHandler(logging.NullHandler())
    connect_named("info", None)
    own.info("sold")
    assert error_log.read_text().endswith("] [INFO] sold\n")
    [handler] = logging.getLogger(ACCESS).handlers
    assert isinstance(handler, logging.NullHandler)


def test_a_logger_whose_records_go_to_the_root_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.NullHandler()])
    logger = logging.getLogger(ERROR)
    connect_named("info", None)
    assert logger.handlers == []
    assert logger.propagate


def test_filters_and_handlers_for_requests_are_found() -> None:
    assert list(without_effect()) == []
    connect("info", None)
    assert list(without_effect()) == []
    logging.getLogger(ACCESS).addFilter(lambda record: True)
    logging.getLogger(ACCESS).addHandler(logging.NullHandler())
    assert list(without_effect()) == ["filters", "handlers"]


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "debug"),
        (5, "debug"),
        (10, "debug"),
        (20, "info"),
        (25, "info"),
        (40, "error"),
        (50, "critical"),
        (60, "critical"),
    ],
)
def test_level(number: int, name: str) -> None:
    assert level_name(number) == name
