"""The error log: what happens to the server, for whoever runs it.

Lines are gunicorn's: `[2026-11-21 05:00:00 +0000] [4711] [INFO] text`. Not the standard library's `logging`: an
application that configures that (Django does, and disables the loggers it finds) must not silence the server,
and its locks must not be held across a fork. Each message is one `write` to a descriptor, so lines of several
processes do not mix; there is no lock and no buffer. Any thread may write. Writing never raises: a full disk or
a closed pipe loses lines, never requests.

What came from a peer passes through `printable` at the caller.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from types import TracebackType

from ropewalk.errors import ConfigError

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

STANDARD_ERROR = 2

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

Exc = bool | BaseException | ExcInfo
"""An exception, True for the one that is being handled, or False for none."""


class ErrorLog:
    """The log of this process. Messages are `%`-formats with their arguments, as `logging` has them."""

    def __init__(self) -> None:
        # Written by `configure` and `reopen` alone, in the main thread; read by every thread.
        self._descriptor = STANDARD_ERROR
        self._path = ""
        self._least = LEVELS["info"]
        self._second: tuple[int, str] = (0, "")

    @property
    def descriptor(self) -> int:
        """Where lines go."""
        return self._descriptor

    def configure(self, target: str, level: str) -> None:
        """Write to the file `target` (`-`: standard error) what is of `level` or above.

        Raises ConfigError when the file cannot be opened.
        """
        self._least = LEVELS[level]
        self._path = "" if target in ("-", "") else os.path.abspath(target)
        self.reopen()

    def reopen(self) -> None:
        """Open the file again by its name, after something moved it away."""
        new = open_log("--error-logfile", self._path) if self._path else STANDARD_ERROR
        if STANDARD_ERROR in (self._descriptor, new):
            self._descriptor, old = new, self._descriptor
            if old not in (STANDARD_ERROR, new):
                os.close(old)
            return
        # In place of the old one and under its number, at one stroke: a thread that is just about to write must meet
        # neither a closed descriptor nor, worse, the connection that was given its number.
        os.dup2(new, self._descriptor, inheritable=False)
        os.close(new)

    def is_enabled(self, level: str) -> bool:
        """Whether a message of `level` would be written; for one that is costly to make."""
        return LEVELS[level] >= self._least

    def debug(self, message: str, *arguments: object, exc_info: Exc = False, request_id: str = "") -> None:
        self._write("debug", message, arguments, exc_info, request_id)

    def info(self, message: str, *arguments: object, exc_info: Exc = False, request_id: str = "") -> None:
        self._write("info", message, arguments, exc_info, request_id)

    def warning(self, message: str, *arguments: object, exc_info: Exc = False, request_id: str = "") -> None:
        self._write("warning", message, arguments, exc_info, request_id)

    def error(self, message: str, *arguments: object, exc_info: Exc = False, request_id: str = "") -> None:
        self._write("error", message, arguments, exc_info, request_id)

    def critical(self, message: str, *arguments: object, exc_info: Exc = False, request_id: str = "") -> None:
        self._write("critical", message, arguments, exc_info, request_id)

    def exception(self, message: str, *arguments: object) -> None:
        """An error with the traceback of the exception that is being handled."""
        self._write("error", message, arguments, True, "")

    def text(self, lines: str) -> None:
        """Lines as they are: a traceback, or an application's `wsgi.errors`."""
        write_all(self._descriptor, lines.encode("utf-8", "backslashreplace"))

    def _write(
        self,
        level: str,
        message: str,
        arguments: tuple[object, ...],
        exc_info: Exc,
        request_id: str,
    ) -> None:
        if LEVELS[level] < self._least:
            return
        try:
            text = message % arguments if arguments else message
        except (TypeError, ValueError):
            text = f"{message} {arguments!r}"
        if request_id:
            text = f"{text} (request id {request_id})"
        line = f"{self._now()} [{os.getpid()}] [{level.upper()}] {text}\n"
        self.text(line + _traceback(exc_info))

    def _now(self) -> str:
        second = int(time.time())
        made = self._second
        if made[0] != second:
            made = (second, time.strftime("[%Y-%m-%d %H:%M:%S %z]", time.localtime(second)))
            self._second = made
        return made[1]


def get_logger() -> ErrorLog:
    """The error log of this process."""
    return _LOG


def open_log(setting: str, path: str) -> int:
    """A descriptor that appends to the file at `path`. Raises ConfigError that names `setting`."""
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o640)
    except OSError as error:
        raise ConfigError(setting, path, f"cannot be opened: {error.strerror}") from None


def write_all(descriptor: int, octets: bytes) -> bool:
    """Write everything, or give up at the first fault; whether it was written. Never raises."""
    rest = memoryview(octets)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        return False
    return True


def _traceback(exc_info: Exc) -> str:
    if exc_info is False:
        return ""
    if exc_info is True:
        error = sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1]
    elif isinstance(exc_info, BaseException):
        error = exc_info
    else:
        error = exc_info[1]
    return "".join(traceback.format_exception(error)) if error is not None else ""


_LOG = ErrorLog()
