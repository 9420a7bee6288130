"""The time of day as a log writes it. Any thread."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Formats moments to the second (strftime(3)), once per second; if two threads do it at once, both are right."""

    def __init__(self, format: str, convert: Callable[[float], time.struct_time] = time.localtime) -> None:
        self._format = format
        self._convert = convert
        self._cached: tuple[float, str] = (-1.0, "")

    def __call__(self) -> str:
        """The present time."""
        now = time.time()
        cached = self._cached
        # fast path of `at`; test_the_present_is_written_as_any_moment holds them equal
        return cached[1] if 0.0 <= now - cached[0] < 1.0 else self.at(int(now))

    def at(self, second: int) -> str:
        """A time in seconds since the epoch."""
        cached = self._cached
        if cached[0] != second:
            cached = self._cached = (float(second), time.strftime(self._format, self._convert(second)))
        return cached[1]


_utc = Clock("%Y-%m-%dT%H:%M:%S", time.gmtime)


def iso_time(now: float) -> str:
    """A moment as RFC 3339 writes it, in UTC with milliseconds."""
    second = int(now)
    return f"{_utc.at(second)}.{int(now % 1 * 1000):03}+00:00"
