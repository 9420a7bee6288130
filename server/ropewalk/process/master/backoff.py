"""How long to wait before a worker is replaced that did not live. Pure: the time comes as an argument."""

from __future__ import annotations

FIRST_SECONDS = 0.1
MOST_SECONDS = 10.0
"""Often enough that a mended application is served soon, rarely enough that a broken one costs nothing."""


class Backoff:
    """Doubles the wait with each failure in a row."""

    def __init__(self) -> None:
        self._failures = 0
        self._not_before = 0.0

    def fail(self, now: float) -> float:
        """A worker did not live; returns the seconds until the next may be tried."""
        seconds = min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(self._failures, 32))
        self._failures += 1
        self._not_before = max(self._not_before, now + seconds)
        return seconds

    def succeed(self) -> None:
        """A worker lived: the next failure is a first one again."""
        self._failures = 0
        self._not_before = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a worker may be started; 0.0 for now."""
        return max(0.0, self._not_before - now)
