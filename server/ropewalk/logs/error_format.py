"""The formats of the error log: gunicorn's lines, or lines of JSON. A third is for terminals (`logs.error_terminal`).

    [2026-11-21 05:00:00 +0000] [4711] [INFO] text
    {"time":"2026-11-21T05:00:00.123+00:00","level":"info","pid":4711,"message":"text"}

A plain message can have several lines, such as a traceback. Those after the first are indented if they could be taken
for the beginning of another message: an exception's text may come from a peer. A JSON message is always one line of
ASCII.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

from ropewalk.logs.clock import Clock, iso_time
from ropewalk.logs.escape import printable
from ropewalk.logs.names import NO_NAMES, Names

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

Exc = bool | BaseException | ExcInfo
"""An exception, True for the one being handled, False for none."""


class Message(NamedTuple):
    """One message of the log."""

    level: str
    text: str
    error: BaseException | None = None
    request_id: str = ""
    is_raw: bool = False
    """Whether `text` is lines from elsewhere, which the plain format writes unchanged."""
    is_routine: bool = False
    """Whether it is left out for a person at a terminal, who has asked for it."""


LOG_FORMATS = ("plain", "json", "terminal")

Formatter = Callable[[Message], str]
"""Returns what is written for a message, line ends included."""

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def format_plain(message: Message, prefix: str = "") -> str:
    head = "" if message.is_raw else f"{_clock()} [{os.getpid()}] [{message.level.upper()}] {prefix}"
    return head + format_text(message) + "\n"


def format_text(message: Message) -> str:
    """The text and the traceback, without a line end."""
    if message.is_raw:
        return message.text.rstrip("\n")
    name = f" (request id {message.request_id})" if message.request_id else ""
    trace = "" if message.error is None else _format_trace(message.error)
    text = message.text if message.text.isprintable() else _INDENTABLE.sub(INDENT, printable(message.text))
    return f"{text}{name}\n{trace}".rstrip("\n")


INDENT = "    "

_INDENTABLE = re.compile(r"(?<=\n)(?=\S)")
"""The beginning of a line that is not indented, after the first line."""

_TRACE_LINES = (
    r"Traceback \(most recent call last\):$",
    r"The above exception was the direct cause of the following exception:$",
    r"During handling of the above exception, another exception occurred:$",
)
"""Those of the interpreter that begin at the margin, where log shippers look for them."""


def _format_trace(error: BaseException) -> str:
    """The traceback; lines at the margin are the interpreter's, or begin with the name of an exception."""
    names = (re.escape(name) + "(?=:|$)" for name in _exception_names(error))
    indentable = re.compile(rf"^(?!{'|'.join((*_TRACE_LINES, *names))})(?=\S)", re.MULTILINE)
    return indentable.sub(INDENT, printable("".join(traceback.format_exception(error))))


def _exception_names(error: BaseException) -> set[str]:
    """What the lines of `error`, its causes and its contexts begin with in a traceback."""
    names, found, remaining = set(), set(), [error]
    while remaining:
        each = remaining.pop()
        if id(each) not in found:
            found.add(id(each))
            kind, module = type(each), type(each).__module__
            names.add(kind.__qualname__ if module in ("__main__", "builtins") else f"{module}.{kind.__qualname__}")
            remaining += filter(None, (each.__cause__, each.__context__))
    return names


def format_json(message: Message, names: Names = NO_NAMES) -> str:
    line: dict[str, object] = {
        "time": iso_time(time.time()),
        "level": message.level,
        "pid": os.getpid(),
        **{key: name for key, name in names._asdict().items() if name},
        "message": message.text.rstrip("\n"),
    }
    if message.request_id:
        line["request_id"] = message.request_id
    if message.error is not None:
        line["exception"] = "".join(traceback.format_exception_only(message.error)).rstrip("\n")
        line["traceback"] = "".join(traceback.format_exception(message.error))
    return _encode(line) + "\n"


def find_error(exc_info: Exc) -> BaseException | None:
    """The exception of `exc_info`; if handling it only raised it again, the first one."""
    if exc_info is True:
        error = sys.exc_info()[1]
    elif isinstance(exc_info, BaseException):
        error = exc_info
    else:
        error = exc_info[1] if exc_info else None
    return None if error is None else first_of_repeats(error)


MAX_REPEATS = 1000
"""A chain of exceptions may be a circle."""


def first_of_repeats(error: BaseException) -> BaseException:
    """The exception that came first, if handling it has only raised the same one again at the same place.

    Django imports a module with an error again in each layer that handles the error: eight times for one request.
    """
    for _ in range(MAX_REPEATS):
        before = error.__context__
        is_linked = before is not None and error.__cause__ is None and not error.__suppress_context__
        if before is None or not is_linked or _identity(before) != _identity(error):
            break
        error = before
    return error


def _identity(error: BaseException) -> tuple[object, ...]:
    """What a repeated exception has in common with the first."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - of the user's own `__str__`
        return (id(error),)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = None if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
    return type(error), text, place


_clock = Clock("[%Y-%m-%d %H:%M:%S %z]")
