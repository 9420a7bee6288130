"""What lines for a person at a terminal have in common: colors, the time, durations and sizes.

The colors are of the palette of 256, whose RGB values are the same in nearly all terminals. Each has a contrast of at
least 3:1 (WCAG 2.2, 1.4.11) with white, with black and with the usual backgrounds between. Of the eight basic colors,
yellow cannot be read on white in most terminals, nor blue on black.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final

from ropewalk.logs.clock import Clock

COLORS: Final = {"green": 28, "blue": 31, "amber": 130, "red": 196, "gray": 243}
"""Numbers of the palette."""

_SEQUENCES: Final = {name: f"\x1b[38;5;{number}m" for name, number in COLORS.items()} | {"bold": "\x1b[1m"}
_RESET: Final = "\x1b[0m"

Paint = Callable[[str, str], str]
"""Returns a text in a color of `COLORS`, or `bold`."""

time_of_day = Clock("%H:%M:%S")


def make_paint(descriptor: int, environ: Mapping[str, str]) -> Paint:
    """A function that colors text for `descriptor`, or one that does not."""
    return _paint if has_color(descriptor, environ) else _leave


def has_color(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Whether lines in the format for terminals are in color there.

    NO_COLOR (no-color.org) takes precedence over FORCE_COLOR (force-color.org), and that over whether it is a terminal
    that has colors. Empty variables count as not set.
    """
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return environ.get("TERM", "") not in ("", "dumb") and is_terminal(descriptor)


def is_terminal(descriptor: int) -> bool:
    """Also for a descriptor that is closed, which is none."""
    return os.isatty(descriptor)


def _paint(color: str, text: str) -> str:
    return f"{_SEQUENCES[color]}{text}{_RESET}"


def _leave(color: str, text: str) -> str:
    return text


def shown_seconds(duration: float) -> str:
    """A duration in at most seven characters, unless it is longer than a day: `0.3 ms`, `120 ms`, `1.3 s`, `75 s`."""
    milliseconds = duration * 1000
    if milliseconds < 99.95:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    return f"{duration:.1f} s" if duration < 59.95 else f"{duration:.0f} s"


def shown_bytes(count: int) -> str:
    """A size in at most seven characters: `0 B`, `1.4 kB`, `23 MB`; a kB is 1000 bytes, as in a browser's tools."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.1f} {unit}" if unit != "B" and size < 9.95 else f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.0f} TB"
