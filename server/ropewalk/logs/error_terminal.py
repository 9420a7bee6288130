"""The format of messages for a person at a terminal: `12:01:33 warning: text`.

Color shows the level; the word is there for those who do not see it. What the person has asked for is left out: that a
signal has come after Ctrl-C, or that the server starts (`Message.is_routine`).
"""

from __future__ import annotations

import os

from ropewalk.logs.error_format import Formatter, Message, format_text
from ropewalk.logs.terminal import make_paint, time_of_day

_LEVEL_COLORS = {"debug": "gray", "warning": "amber", "error": "red", "critical": "red"}


def make_format(descriptor: int, *, shows_routine: bool) -> Formatter:
    """The format for lines that are written to `descriptor`."""
    paint = make_paint(descriptor, os.environ)

    def format_terminal(message: Message) -> str:
        if message.is_raw:
            return format_text(message) + "\n"
        if message.is_routine and not shows_routine:
            return ""
        color = _LEVEL_COLORS.get(message.level)
        level = "" if color is None else paint(color, f"{message.level}:") + " "
        return f"{paint('gray', time_of_day())} {level}{format_text(message)}\n"

    return format_terminal
