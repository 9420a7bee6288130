"""How long to wait before a worker is forked in place of one that failed. Pure: the time is an argument."""

from __future__ import annotations

FIRST_SECONDS = 0.1
MAX_SECONDS = 10.0
"""Often enough that a repaired application is soon served, rarely enough that a broken one costs nothing."""


class Backoff:
    """Doubles the wait with each failure in a row."""

    def __init__(self) -> None:
        self._failures = 0
        self._not_before = 0.0

    def fail(self, now: float) -> float:
        """A worker failed; returns the seconds to wait before the next fork."""
        seconds = min(MAX_SECONDS, FIRST_SECONDS * 2.0 ** min(self._failures, 32))
        self._failures += 1
        self._not_before = max(self._not_before, now + seconds)
        return seconds

    def reset(self) -> None:
        """A worker succeeded: the next failure counts as a first one, and nothing waits."""
        self._failures = 0
        self._not_before = 0.0

    def seconds_left(self, now: float) -> float:
        """Seconds until a worker may be forked; 0.0 for now."""
        return max(0.0, self._not_before - now)
