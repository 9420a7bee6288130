"""Logs of an embedded server that its program takes: with a function of its own, or a logger of `logging`.

What they call is the program's code. Whatever it raises costs the message, which is counted, and never a request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from ropewalk.logs.access_format import compile_format
from ropewalk.logs.access_record import AccessRecord
from ropewalk.logs.error_format import FORMATTERS, Message, format_plain, format_text
from ropewalk.logs.error_log import LEVELS, ErrorLog, get_logger

if TYPE_CHECKING:
    import logging

    Logger = logging.Logger | logging.LoggerAdapter[Any]


def is_logger(target: object) -> TypeGuard[Logger]:
    """Whether it is a logger of `logging`, or an adapter of one; this does not import that."""
    return hasattr(target, "isEnabledFor") and hasattr(target, "log")


class ProgramLog(ErrorLog):
    """An error log that gives each message, with its traceback, to `take(level, text)`, or to a logger."""

    def __init__(self, take: Callable[[str, str], object] | Logger, level: str | None, format: str) -> None:
        """`level` is one of LEVELS, or None for what the logger decides; `format` is one of `FORMATTERS`."""
        super().__init__()
        self._logger = take if is_logger(take) else None
        self._function = cast("Callable[[str, str], object]", take) if self._logger is None else None
        self._is_logger_asked = self._logger is not None and level is None
        self._least = LEVELS[level or "info"]
        self._format = FORMATTERS[format]
        self._busy = threading.local()

    def is_enabled(self, level: str) -> bool:
        if self._logger is not None and self._is_logger_asked:
            return self._logger.isEnabledFor(LEVELS[level])
        return super().is_enabled(level)

    def _prepare(self, message: Message) -> Callable[[], bool]:
        # The program may write to `wsgi.errors` what it takes here: Flask's logger does.
        if getattr(self._busy, "is_inside", False):
            return super()._prepare(message)
        text = self._text(message)
        return lambda: self._give(message, text)

    def _text(self, message: Message) -> str:
        if self._format is not format_plain:
            return self._format(message).rstrip("\n")
        # A logger formats the exception itself.
        return format_text(message if self._logger is None else message._replace(error=None))

    def _give(self, message: Message, text: str) -> bool:
        self._busy.is_inside = True
        try:
            if self._function is not None:
                self._function(message.level, text)
            elif self._logger is not None:
                self._logger.log(LEVELS[message.level], "%s", text, exc_info=message.error)
        except Exception as error:  # noqa: BLE001 - of the program's; no request must fail because of it
            self._fault = f"the program's log raised {type(error).__name__}"
            return False
        finally:
            self._busy.is_inside = False
        return True

    def close(self) -> None:
        """Do nothing: what is logged late is the program's, too."""


class ProgramAccessLog:
    """An access log that gives the line of each request to `take(line)`, or to a logger at its level `info`."""

    def __init__(self, take: Callable[[str], object] | Logger, format: str) -> None:
        """Raises ValueError for a bad format."""
        self._line = compile_format(format)
        self._take = cast("Callable[[str], object]", take.info if is_logger(take) else take)
        self.lost = 0
        """Lines that could not be written. Two threads that fail at the same moment may count one."""

    def write(self, record: AccessRecord) -> None:
        """Give the line of `record` to the program. Never raises."""
        try:
            self._take(self._line(record))
        except Exception:  # noqa: BLE001 - a line must not cost a response
            self.lost += 1
            get_logger().exception("cannot write a line of the access log")

    def close(self) -> None:
        """Do nothing: it is the program's."""
