"""The loggers `gunicorn.error` and `gunicorn.access` of the standard library, connected to the server's logs.

Applications and configuration files use them by these names, or give their handlers to loggers of their own. The server
itself does not log through `logging` (`logs.error_log`), so this module is imported only for those that do.

The loggers are configured as gunicorn configures them: a handler each, a level, no propagation. Main thread only,
except for the handlers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from ropewalk.logs.access_log import AccessLog
from ropewalk.logs.error_log import LEVELS, get_logger

ERROR = "gunicorn.error"
ACCESS = "gunicorn.access"


class _LockFreeHandler(logging.Handler):
    """Takes no lock, which the logs have themselves: an interrupted request could leave this one held.

    Python 3.11 and 3.12 take it before a `try` (`ropewalk.interruptions`).
    """

    def handle(self, record: logging.LogRecord) -> bool:
        found = self.filter(record)
        if found:
            self.emit(found if isinstance(found, logging.LogRecord) else record)  # a record since Python 3.12
        return bool(found)


class ErrorHandler(_LockFreeHandler):
    """Writes records to the error log: as its own messages, or as lines of a formatter that somebody has set.

    A record of any level is written, since its logger has decided that.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.formatter is not None:
                get_logger().text(self.format(record))
                return
            text = record.getMessage()
            if record.stack_info:
                text = f"{text}\n{record.stack_info}"
            get_logger().record(level_name(record.levelno), text, (record.exc_info and record.exc_info[1]) or False)
        except Exception:  # noqa: BLE001 - as every handler of the standard library
            self.handleError(record)


class AccessHandler(_LockFreeHandler):
    """Writes records to the access log of this process as lines of their own; without one they are lost."""

    access_log: AccessLog | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.access_log is not None:
                self.access_log.text(self.format(record))
        except Exception:  # noqa: BLE001 - as every handler of the standard library
            self.handleError(record)


def level_name(number: int) -> str:
    """The level of the error log for a number of `logging`."""
    return max((name for name in LEVELS if LEVELS[name] <= number), key=LEVELS.__getitem__, default="debug")


def connect(level: str, access_log: AccessLog | None) -> None:
    """Give both loggers their handlers, unless they have them, and set the access log of this process.

    Called before the application is loaded, which may give the handlers to other loggers.
    """
    _connect_error(level)
    _connect_access(access_log)


def connect_named(level: str, access_log: AccessLog | None) -> None:
    """`connect` those that the application, which is loaded, has named and that have no handler."""
    if _is_named(ERROR) and not logging.getLogger(ERROR).hasHandlers():
        _connect_error(level)
    if _is_named(ACCESS) and not logging.getLogger(ACCESS).hasHandlers():
        _connect_access(access_log)


def without_effect() -> Iterator[str]:
    """What somebody configured on `gunicorn.access` for the lines of requests, which do not come through it."""
    if _is_named(ACCESS):
        logger = logging.getLogger(ACCESS)
        if logger.filters:
            yield "filters"
        if any(not isinstance(handler, AccessHandler) for handler in logger.handlers):
            yield "handlers"


def _is_named(name: str) -> bool:
    """Whether anybody has asked for the logger; asking creates it."""
    return isinstance(logging.Logger.manager.loggerDict.get(name), logging.Logger)


def _connect_error(level: str) -> None:
    logger = logging.getLogger(ERROR)
    if not any(isinstance(handler, ErrorHandler) for handler in logger.handlers):
        _add(logger, ErrorHandler(), LEVELS[level])


def _connect_access(access_log: AccessLog | None) -> None:
    logger = logging.getLogger(ACCESS)
    handlers = [handler for handler in logger.handlers if isinstance(handler, AccessHandler)]
    if not handlers:
        handlers = [AccessHandler()]
        _add(logger, handlers[0], logging.INFO)
    for handler in handlers:
        handler.access_log = access_log


def _add(logger: logging.Logger, handler: logging.Handler, level: int) -> None:
    logger.setLevel(level)
    logger.propagate = False
    logger.addHandler(handler)  # to a list that another logger may share by now
