"""Access lines for a person at a terminal: the columns that one compares first, the path, which may be long, last.

    12:01:44 200    1.3 s   1.4 kB  GET /report?year=2026  slow

Color shows the class of the status; what is in a color is also there in words.
"""

from __future__ import annotations

import os

from ropewalk.logs.access_record import AccessRecord, Line, request_target
from ropewalk.logs.escape import escape
from ropewalk.logs.terminal import make_paint, shown_bytes, shown_seconds, time_of_day

SLOW_SECONDS = 1.0
"""After this time a person stops to feel that a page reacts at once (Nielsen, Response Times, 1993)."""

_STATUS_COLORS = {"1": "gray", "2": "green", "3": "blue", "4": "amber", "5": "red"}

_OWN_ADDRESSES = ("", "127.0.0.1", "::1")
"""Of clients on this machine; a Unix socket has none."""


def make_line(descriptor: int) -> Line:
    """The format for lines that are written to `descriptor`."""
    paint = make_paint(descriptor, os.environ)

    def line(record: AccessRecord) -> str:
        waiting = record.waiting or 0.0
        seconds = waiting + record.seconds
        duration = f"{shown_seconds(seconds):>7}"
        notes = []
        if seconds >= SLOW_SECONDS:
            duration = paint("amber", duration)
            reason = "slow: waited for a thread" if waiting > record.seconds else "slow"
            notes.append(paint("amber", reason))
        if not record.is_complete:
            notes.append(paint("amber", "aborted"))
        address = str(record.environ.get("REMOTE_ADDR") or "")
        if address not in _OWN_ADDRESSES:
            notes.append(paint("gray", f"from {escape(address)}"))
        if record.request_id:
            notes.append(paint("gray", escape(record.request_id)))
        code = escape(record.status[:3])
        status = paint(_STATUS_COLORS.get(code[:1], "red"), code)
        start = f"{paint('gray', time_of_day())} {status} {duration}"
        return "  ".join((start, f"{shown_bytes(record.body_bytes):>7}", request_target(record.environ.get), *notes))

    return line
