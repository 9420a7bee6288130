"""The error log: what happens to the server, for its operator.

Lines have gunicorn's format or are JSON (`logs.error_format`). The standard library's `logging` is not used: an
application that configures it (Django does, and disables existing loggers) must not silence the server, and a fork must
not inherit a held lock. Each message is written at once and whole (`logs.sink`), without a buffer, by any thread; a
thread that the server interrupts meanwhile raises the exception afterwards (`ropewalk.interruptions`).
Writing never raises: a full disk or a closed pipe loses messages, never requests. Lost messages are counted, and
reported as soon as the log can be written again.

The caller escapes text that came from a peer (`logs.escape`).

There is one log in a process, which every module uses. A server that a program embeds may have its own: while one of
its threads logs, `get_logger()` leads there (`logging_to`).
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

from ropewalk.errors import ConfigError
from ropewalk.interruptions import uninterrupted
from ropewalk.logs.error_format import Exc, ExcInfo, Formatter, Message, find_error, format_json, format_plain
from ropewalk.logs.names import NO_NAMES, Names
from ropewalk.logs.sink import Sink
from ropewalk.portable import O_CLOEXEC, O_NOCTTY, register_at_fork
from ropewalk.trusted_files import open_file

__all__ = ["LEVELS", "ErrorLog", "ExcInfo", "current_log", "get_logger", "inheriting_log", "logging_to", "open_log"]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

STANDARD_ERROR = 2


class ErrorLog:
    """A log. Messages are `%`-formats with their arguments, as in `logging`."""

    _counting = threading.Lock()
    """Protects the counters, of every log. Taken while uninterrupted; replaced in a forked child, which may inherit it
    held."""

    def __init__(self) -> None:
        # Written only by `configure` and `reopen`, in the main thread; read by every thread.
        self._sink = Sink(STANDARD_ERROR)
        self._path = ""
        self._owners: Collection[int] | None = None
        self._least = LEVELS["info"]
        self._format: Formatter = format_plain
        self._format_name = "plain"
        self._counts: Counter[str] = Counter()
        self._lost = 0
        self._unreported = 0
        """Those of the lost messages that the log has not reported yet."""
        self._fault = ""
        """Why the last one was lost."""

    @property
    def descriptor(self) -> int:
        """The descriptor that lines are written to."""
        return self._sink.descriptor

    @property
    def is_json(self) -> bool:
        """Whether each message is a line of JSON."""
        return self._format_name == "json"

    @property
    def is_for_terminal(self) -> bool:
        """Whether lines are for a person at a terminal."""
        return self._format_name == "terminal"

    @property
    def is_standard_error(self) -> bool:
        """Whether lines go to standard error, as the application's own do."""
        return not self._path

    def configure(
        self,
        target: str,
        level: str,
        format: str = "plain",
        owners: Collection[int] | None = None,
        names: Names = NO_NAMES,
    ) -> None:
        """Write messages of at least `level` to the file `target` (`-`: standard error).

        `format` is one of `LOG_FORMATS`; `owners` as in `open_file`; `names` are in each message. Raises ConfigError if
        the file cannot be opened.
        """
        self._least = LEVELS[level]
        self._owners = owners
        self._path = "" if target in ("-", "") else os.path.abspath(target)
        self._format_name = format
        self._format = make_format(format, -1 if self._path else STANDARD_ERROR, level, names)
        self.reopen()

    def relocate(self, target: str) -> None:
        """Open `target`, a relative path, in the current directory if that is another one than before.

        Raises ConfigError if the file cannot be opened; the log then stays where it is.
        """
        before, path = self._path, "" if target in ("-", "") else os.path.abspath(target)
        if path == before:
            return
        self._path = path
        try:
            self.reopen()
        except ConfigError:
            self._path = before
            raise

    def reopen(self) -> None:
        """Open the file by its name again, after it was moved away."""
        new = open_log("--error-logfile", self._path, self._owners) if self._path else STANDARD_ERROR
        old = self._sink.descriptor
        if STANDARD_ERROR in (old, new):
            self._sink = Sink(new)
            if old not in (STANDARD_ERROR, new):
                os.close(old)
        else:
            self._replace(old, new)
        if self._unreported:
            self._report_lost()

    def _replace(self, old: int, new: int) -> None:
        # Atomically, under the old number: a thread that is about to write must find neither a closed descriptor nor,
        # worse, a connection that was given the same number.
        os.dup2(new, old, inheritable=False)
        os.close(new)
        self._sink = Sink(old)

    def close(self) -> None:
        """Close the file. What is logged later goes to standard error."""
        self.configure("-", "info")

    def is_enabled(self, level: str) -> bool:
        """Whether a message of `level` would be written; asked before composing an expensive one."""
        return LEVELS[level] >= self._least

    def debug(self, message: str, *arguments: object, exc_info: Exc = False, request_id: str = "") -> None:
        self._write("debug", message, arguments, exc_info, request_id)

    def info(self, message: str, *arguments: object, exc_info: Exc = False, request_id: str = "") -> None:
        self._write("info", message, arguments, exc_info, request_id)

    def routine(self, message: str, *arguments: object) -> None:
        """As `info`; left out for a person at a terminal, who has asked for what it says."""
        self._write("info", message, arguments, False, "", is_routine=True)

    def warning(self, message: str, *arguments: object, exc_info: Exc = False, request_id: str = "") -> None:
        self._write("warning", message, arguments, exc_info, request_id)

    def error(self, message: str, *arguments: object, exc_info: Exc = False, request_id: str = "") -> None:
        self._write("error", message, arguments, exc_info, request_id)

    def critical(self, message: str, *arguments: object, exc_info: Exc = False, request_id: str = "") -> None:
        self._write("critical", message, arguments, exc_info, request_id)

    def exception(self, message: str, *arguments: object) -> None:
        """An error, with the traceback of the exception that is being handled."""
        self._write("error", message, arguments, True, "")

    def text(self, lines: str) -> None:
        """Write lines unchanged, or in JSON as one message: a traceback, or an application's `wsgi.errors`."""
        if lines.strip() or not self.is_json:
            self._put(Message("error", lines, is_raw=True))

    def record(self, level: str, text: str, exc_info: Exc = False) -> None:
        """Write a message of the application's own logging, which has decided about its level. It does not count."""
        self._put(Message(level, text, find_error(exc_info)))

    # Counters

    def counts(self) -> dict[str, int]:
        """The number of messages by level; those with an exception count as `exception` only.

        Messages below the log's level do not count.
        """
        return dict(self._counts)

    @property
    def lost(self) -> int:
        """The number of messages that could not be written."""
        return self._lost

    def reset_counts(self) -> None:
        """Count from zero, in a forked process: the parent has counted what this one inherited."""
        self._counts, self._lost, self._unreported = Counter(), 0, 0

    def _write(
        self,
        level: str,
        message: str,
        arguments: tuple[object, ...],
        exc_info: Exc,
        request_id: str,
        *,
        is_routine: bool = False,
    ) -> None:
        if not self.is_enabled(level):
            return
        try:
            text = message % arguments if arguments else message
        except (TypeError, ValueError):
            text = f"{message} {arguments!r}"
        error = find_error(exc_info)
        line = Message(level, text, error, request_id, is_routine=is_routine)
        self._put(line, level if error is None else "exception")

    def _put(self, message: Message, counted_as: str = "") -> None:
        emit = self._prepare(message)  # before: the text of an application's exception is made by its own code
        with uninterrupted:
            if counted_as:
                self._count(counted_as)
            if (self._unreported and not self._report_lost()) or not emit():
                self._count_lost(1, 1)

    def _report_lost(self) -> bool:
        """Report the number of lost messages; False if the log still cannot be written."""
        lost = self._take_unreported()
        what = "log message was" if lost == 1 else "log messages were"
        if lost and not self._prepare(Message("warning", f"{lost} {what} lost ({self._fault})"))():
            self._count_lost(0, lost)
            return False
        return True

    def _prepare(self, message: Message) -> Callable[[], bool]:
        """What writes the message, and returns whether it is written."""
        return partial(self._emit, self._format(message).encode("utf-8", "backslashreplace"))

    def _emit(self, octets: bytes) -> bool:
        sink = self._sink
        is_written = sink.write(octets) == len(octets)
        if not is_written:
            self._fault = sink.fault
        return is_written

    def _count(self, name: str) -> None:
        with self._counting:
            self._counts[name] += 1

    def _count_lost(self, lost: int, unreported: int) -> None:
        with self._counting:
            self._lost += lost
            self._unreported += unreported

    def _take_unreported(self) -> int:
        with self._counting:
            unreported, self._unreported = self._unreported, 0
        return unreported

    @staticmethod
    def replace_lock() -> None:
        """In a forked child: the parent's other threads may have held it."""
        ErrorLog._counting = threading.Lock()


class _ProcessLog(ErrorLog):
    """The log of this process, unless the thread that logs has another one."""

    def is_enabled(self, level: str) -> bool:
        log = _of_thread.log
        return super().is_enabled(level) if log is None else log.is_enabled(level)

    def _put(self, message: Message, counted_as: str = "") -> None:
        log = _of_thread.log
        if log is None:
            super()._put(message, counted_as)
        else:
            log._put(message, counted_as)


class _OfThread(threading.local):
    log: ErrorLog | None = None


_of_thread = _OfThread()


@contextmanager
def logging_to(log: ErrorLog) -> Iterator[None]:
    """Have what this thread logs meanwhile go to `log`, and what the threads log that are made meanwhile."""
    before, _of_thread.log = _of_thread.log, None if log is _LOG else log
    try:
        yield
    finally:
        _of_thread.log = before


def inheriting_log(work: Callable[..., None]) -> Callable[..., None]:
    """`work`, for a thread that logs to where the thread logs that makes it."""
    log = _of_thread.log

    def run(*arguments: object) -> None:
        _of_thread.log = log
        work(*arguments)

    return work if log is None else run


def current_log() -> ErrorLog:
    """The log that this thread logs to."""
    return _of_thread.log or _LOG


def get_logger() -> ErrorLog:
    """The error log of this process."""
    return _LOG


def make_format(name: str, descriptor: int, level: str, names: Names = NO_NAMES) -> Formatter:
    """The format `name`, for lines of at least `level` that are written to `descriptor`.

    Lines for a person do not have the `names`.
    """
    if name == "terminal":
        from ropewalk.logs import error_terminal  # not needed in a pipe or a file

        return error_terminal.make_format(descriptor, shows_routine=level == "debug")
    if name == "json":
        return partial(format_json, names=names)
    return partial(format_plain, prefix=names.as_prefix())


def open_log(setting: str, path: str, owners: Collection[int] | None = None) -> int:
    """A descriptor that appends to the file at `path`; `owners` as in `open_file`.

    Raises ConfigError that names `setting`.
    """
    try:
        return open_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | O_CLOEXEC | O_NOCTTY, 0o640, owners)
    except OSError as error:
        raise ConfigError(setting, path, f"cannot be opened: {error.strerror}") from None


_LOG = _ProcessLog()
register_at_fork(after_in_child=ErrorLog.replace_lock)
