"""A message of the error log as it is written: plain, in gunicorn's way, or as a line of JSON.

    [2026-11-21 05:00:00 +0000] [4711] [INFO] text
    {"time":"2026-11-21T05:00:00.123+00:00","level":"info","pid":4711,"message":"text"}

Plain messages can have several lines, as tracebacks have. JSON is always one, of ASCII alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

from ropewalk.logs.clock import Clock

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

Exc = bool | BaseException | ExcInfo
"""An exception, True for the one that is being handled, or False for none."""


class Message(NamedTuple):
    """One message."""

    level: str
    text: str
    error: BaseException | None = None
    request_id: str = ""
    is_raw: bool = False
    """Lines that come from elsewhere: they stand for themselves where there are lines."""


Line = Callable[[Message], str]
"""The message as it is written, ends of lines included."""

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def plain(message: Message) -> str:
    if message.is_raw:
        return message.text.rstrip("\n") + "\n"
    name = f" (request id {message.request_id})" if message.request_id else ""
    trace = "" if message.error is None else "".join(traceback.format_exception(message.error))
    return f"{_clock()} [{os.getpid()}] [{message.level.upper()}] {message.text}{name}\n{trace}"


def as_json(message: Message) -> str:
    line: dict[str, object] = {
        "time": _iso_time(time.time()),
        "level": message.level,
        "pid": os.getpid(),
        "message": message.text.rstrip("\n"),
    }
    if message.request_id:
        line["request_id"] = message.request_id
    if message.error is not None:
        line["exception"] = "".join(traceback.format_exception_only(message.error)).rstrip("\n")
        line["traceback"] = "".join(traceback.format_exception(message.error))
    return _encode(line) + "\n"


def _iso_time(now: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}+00:00"


LINES: dict[str, Line] = {"plain": plain, "json": as_json}


def find_error(exc_info: Exc) -> BaseException | None:
    """The exception that is meant."""
    if exc_info is True:
        return sys.exc_info()[1]
    if isinstance(exc_info, BaseException):
        return exc_info
    return exc_info[1] if exc_info else None


_clock = Clock("[%Y-%m-%d %H:%M:%S %z]")
