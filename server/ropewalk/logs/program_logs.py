"""Logs of an embedded server that its program takes: with a function, a logger of `logging` or a text stream.

What they call is the program's code. Whatever it raises costs the message, which is counted, and never a request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO, TypeGuard, cast

from ropewalk.logs.access_format import compile_format
from ropewalk.logs.access_record import AccessRecord
from ropewalk.logs.error_format import Message, format_text
from ropewalk.logs.error_log import LEVELS, ErrorLog, get_logger, make_format
from ropewalk.logs.names import NO_NAMES, Names

if TYPE_CHECKING:
    import logging

    Logger = logging.Logger | logging.LoggerAdapter[Any]


def is_logger(target: object) -> TypeGuard[Logger]:
    """Whether it is a logger of `logging`, or an adapter of one; this does not import that."""
    return hasattr(target, "isEnabledFor") and hasattr(target, "log")


def is_stream(target: object) -> TypeGuard[TextIO]:
    """Whether text can be written to it."""
    return callable(getattr(target, "write", None))


class ProgramLog(ErrorLog):
    """An error log that gives each message to a function of its level and its text, to a logger or to a text stream."""

    def __init__(
        self,
        target: Callable[[str, str], object] | Logger | TextIO,
        level: str | None,
        format: str,
        names: Names = NO_NAMES,
    ) -> None:
        """`level` is one of LEVELS, or None for what the logger decides; `format` is one of `LOG_FORMATS`."""
        super().__init__()
        self._target = target
        self._asked_logger = target if level is None and is_logger(target) else None
        self._least = LEVELS[level or "info"]
        self._format_name = format
        self._format = make_format(format, -1, level or "info", names)
        self._busy = threading.local()

    def is_enabled(self, level: str) -> bool:
        if self._asked_logger is not None:
            return self._asked_logger.isEnabledFor(LEVELS[level])
        return super().is_enabled(level)

    def _prepare(self, message: Message) -> Callable[[], bool]:
        # The program may write to `wsgi.errors` what it takes here: Flask's logger does.
        if getattr(self._busy, "is_inside", False):
            return super()._prepare(message)
        target = self._target
        give: Callable[[], object]
        if is_stream(target):
            give = partial(target.write, self._format(message))
        elif is_logger(target):  # formats the exception itself
            text = self._text(message._replace(error=None))
            give = partial(target.log, LEVELS[message.level], "%s", text, exc_info=message.error)
        else:
            give = partial(cast("Callable[[str, str], object]", target), message.level, self._text(message))
        return partial(self._give, give)

    def _text(self, message: Message) -> str:
        return format_text(message) if self._format_name == "plain" else self._format(message).rstrip("\n")

    def _give(self, give: Callable[[], object]) -> bool:
        self._busy.is_inside = True
        try:
            give()
        except Exception as error:  # noqa: BLE001 - of the program's; no request must fail because of it
            self._fault = f"the program's log raised {type(error).__name__}"
            return False
        finally:
            self._busy.is_inside = False
        return True

    def close(self) -> None:
        """Do nothing: what is logged late is the program's, too."""


class ProgramAccessLog:
    """An access log that gives the line of each request to a function, a logger (at its level `info`) or a stream."""

    def __init__(self, target: Callable[[str], object] | Logger | TextIO, format: str, names: Names = NO_NAMES) -> None:
        """Raises ValueError for a bad format."""
        self._line = compile_format(format, names=names)
        if is_stream(target):
            self._take: Callable[[str], object] = lambda line: target.write(f"{line}\n")
        else:
            self._take = cast("Callable[[str], object]", target.info if is_logger(target) else target)
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
