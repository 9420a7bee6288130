"""The time of day as a log writes it. Any thread may ask."""

from __future__ import annotations

import time


class Clock:
    """The local time in `format` (strftime(3)), made once a second; two threads may both make it, to the same end."""

    def __init__(self, format: str) -> None:
        self._format = format
        self._made: tuple[int, str] = (0, "")

    def __call__(self) -> str:
        second = int(time.time())
        made = self._made
        if made[0] != second:
            made = self._made = (second, time.strftime(self._format, time.localtime(second)))
        return made[1]
