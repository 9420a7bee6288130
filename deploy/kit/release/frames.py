"""What a program prints, without the frames of Python's tracebacks.

They are in the whole log, and push the rest off the screen.
"""

import re
from collections.abc import Callable

from kit.failures import TRACEBACK

LINES = re.compile(rb"[^\n]*\n|[^\n]+")


class WithoutFrames:
    """Called with each piece, as it comes: a line need not be whole to be shown."""

    def __init__(self, show: Callable[[bytes], None]) -> None:
        self._show = show
        self._line = b""
        """What there is of the line that has begun."""
        self._is_inside = False

    def __call__(self, piece: bytes) -> None:
        shown = b""
        for part in LINES.findall(piece):
            self._line += part
            if not self._line[:1].isspace():
                self._is_inside = False
            if not self._is_inside:
                shown += part
            if part.endswith(b"\n"):
                self._is_inside = self._is_inside or bool(TRACEBACK.match(self._line.decode(errors="replace").rstrip()))
                self._line = b""
        if shown:
            self._show(shown)
