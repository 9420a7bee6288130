"""The error log: what happens to the server, for whoever runs it.

Lines are gunicorn's, or JSON (`ropewalk.logs.error_format`). Not the standard library's `logging`: an application that
configures that (Django does, and disables the loggers it finds) must not silence the server, and its locks must not be
held across a fork. Each message is written at once and whole (`ropewalk.logs.sink`); there is no buffer. Any thread
may write. Writing never raises: a full disk or a closed pipe loses messages, never requests. They are counted, and told
as soon as the log can be written again.

What came from a peer passes through `printable` at the caller.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from ropewalk.errors import ConfigError
from ropewalk.logs.error_format import LINES, Exc, ExcInfo, Line, Message, find_error, plain
from ropewalk.logs.sink import PATIENCE, Sink
from ropewalk.trusted_files import open_file

__all__ = ["LEVELS", "ErrorLog", "ExcInfo", "get_logger", "open_log"]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

STANDARD_ERROR = 2


class ErrorLog:
    """The log of this process. Messages are `%`-formats with their arguments, as `logging` has them."""

    def __init__(self) -> None:
        # Written by `configure` and `reopen` alone, in the main thread; read by every thread.
        self._sink = Sink(STANDARD_ERROR)
        self._path = ""
        self._owners: Collection[int] | None = None
        self._least = LEVELS["info"]
        self._line: Line = plain
        self._counting = threading.Lock()
        """Around what follows; taken with a timeout, since a fork of the application's may leave it locked."""
        self._counts: Counter[str] = Counter()
        self._lost = 0
        self._untold = 0
        """Of the lost ones, those that the log does not tell of yet."""
        self._fault = ""
        """Why the last of them was lost."""

    @property
    def descriptor(self) -> int:
        """Where lines go."""
        return self._sink.descriptor

    @property
    def is_json(self) -> bool:
        """Whether each message is a line of JSON."""
        return self._line is not plain

    @property
    def is_standard_error(self) -> bool:
        """Whether lines go where those of the application's own go."""
        return not self._path

    def configure(self, target: str, level: str, format: str = "plain", owners: Collection[int] | None = None) -> None:
        """Write to the file `target` (`-`: standard error) what is of `level` or above, in `format` (of `LINES`).

        `owners` as in `open_file`. Raises ConfigError when the file cannot be opened.
        """
        self._least = LEVELS[level]
        self._line = LINES[format]
        self._owners = owners
        self._path = "" if target in ("-", "") else os.path.abspath(target)
        self.reopen()

    def reopen(self) -> None:
        """Open the file again by its name, after something moved it away."""
        new = open_log("--error-logfile", self._path, self._owners) if self._path else STANDARD_ERROR
        old = self._sink.descriptor
        if STANDARD_ERROR in (old, new):
            self._sink = Sink(new)
            if old not in (STANDARD_ERROR, new):
                os.close(old)
        else:
            self._replace(old, new)
        if self._untold:
            self._tell_lost()

    def _replace(self, old: int, new: int) -> None:
        # In place of the old one and under its number, at one stroke: a thread that is just about to write must meet
        # neither a closed descriptor nor, worse, the connection that was given its number.
        os.dup2(new, old, inheritable=False)
        os.close(new)
        self._sink = Sink(old)

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
        """Lines as they are, or one message of them: a traceback, or an application's `wsgi.errors`."""
        if lines.strip() or not self.is_json:
            self._put(Message("error", lines, is_raw=True))

    # What was counted

    def counts(self) -> dict[str, int]:
        """How many messages there were, by level; those with an exception stand under `exception` alone.

        What is below the log's level is not counted.
        """
        return dict(self._counts)

    @property
    def lost(self) -> int:
        """How many messages could not be written."""
        return self._lost

    def forget_counts(self) -> None:
        """Begin to count anew: what was inherited by a fork has been counted elsewhere."""
        self._counts, self._lost, self._untold = Counter(), 0, 0

    def _write(self, level: str, message: str, arguments: tuple[object, ...], exc_info: Exc, request_id: str) -> None:
        if LEVELS[level] < self._least:
            return
        try:
            text = message % arguments if arguments else message
        except (TypeError, ValueError):
            text = f"{message} {arguments!r}"
        error = find_error(exc_info)
        self._count(level if error is None else "exception")
        self._put(Message(level, text, error, request_id))

    def _put(self, message: Message) -> None:
        if self._untold and not self._tell_lost():
            self._count_lost(1, 1)
            return
        if not self._emit(message):
            self._count_lost(1, 1)

    def _tell_lost(self) -> bool:
        """Tell of messages that were lost, if the log can be written again; whether it can."""
        untold = self._take_untold()
        told = Message("warning", f"messages that could not be written here: {untold} ({self._fault})")
        if untold and not self._emit(told):
            self._count_lost(0, untold)
            return False
        return True

    def _emit(self, message: Message) -> bool:
        octets = self._line(message).encode("utf-8", "backslashreplace")
        sink = self._sink
        is_written = sink.write(octets) == len(octets)
        if not is_written:
            self._fault = sink.fault
        return is_written

    def _count(self, name: str) -> None:
        with self._count_alone():
            self._counts[name] += 1

    def _count_lost(self, lost: int, untold: int) -> None:
        with self._count_alone():
            self._lost += lost
            self._untold += untold

    def _take_untold(self) -> int:
        with self._count_alone():
            untold, self._untold = self._untold, 0
        return untold

    @contextmanager
    def _count_alone(self) -> Iterator[None]:
        is_locked = self._counting.acquire(timeout=PATIENCE)
        try:
            yield
        finally:
            if is_locked:
                self._counting.release()


def get_logger() -> ErrorLog:
    """The error log of this process."""
    return _LOG


def open_log(setting: str, path: str, owners: Collection[int] | None = None) -> int:
    """A descriptor that appends to the file at `path`; `owners` as in `open_file`.

    Raises ConfigError that names `setting`.
    """
    try:
        return open_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o640, owners)
    except OSError as error:
        raise ConfigError(setting, path, f"cannot be opened: {error.strerror}") from None


_LOG = ErrorLog()
