"""Whether the master itself was there: it judges nobody's silence by a time in which it could not have heard.

A machine that was suspended, a container that was frozen, a master that was stopped: when they go on, every worker
seems to have been silent for all that time. Pure: the time comes as an argument.
"""

from __future__ import annotations

LATE_SECONDS = 1.0
"""A turn of the master's loop takes milliseconds; later than this by a whole second, something held it."""


class StallClock:
    """Since when the master has come round in time."""

    def __init__(self, now: float) -> None:
        """`now`, here and below, is monotonic."""
        self._since = now
        self._due = now

    def wait(self, now: float, seconds: float | None) -> None:
        """The master is about to wait for events, for so long at most (None: until one comes)."""
        self._look(now)
        self._due = now + seconds if seconds is not None else float("inf")

    def wake(self, now: float) -> None:
        """It goes on, and is about to see to what came."""
        self._look(now)
        self._due = now

    def silence(self, now: float, heard: float) -> float:
        """For how many seconds somebody has been silent whom it heard last then, while it listened."""
        return now - max(heard, self._since)

    def _look(self, now: float) -> None:
        if now > self._due + LATE_SECONDS:
            self._since = now
