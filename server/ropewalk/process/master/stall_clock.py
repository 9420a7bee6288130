"""For how long a worker has sent no heartbeat, not counting time in which the master itself did not run.

If a machine was suspended, a container frozen or the master stopped, every worker seems to have been silent for all of
that time. A stall is noticed by a wait that takes longer than it was to. Pure: the time is an argument, and monotonic.
"""

from __future__ import annotations

LATE_SECONDS = 1.0
"""A turn of the master's loop takes milliseconds; if it is a whole second late, something stopped the master."""


class StallClock:
    """Since when the master's loop has run without a stall."""

    def __init__(self, now: float) -> None:
        self._running_since = now
        self._due = now

    def before_wait(self, now: float, seconds: float | None) -> None:
        """The master is about to wait for events, for at most this long (None: until one comes)."""
        self._detect_stall(now)
        self._due = now + seconds if seconds is not None else float("inf")

    def after_wait(self, now: float) -> None:
        """The master has returned from waiting, and is about to handle what came."""
        self._detect_stall(now)
        self._due = now

    def silence(self, now: float, last_heard: float) -> float:
        """Seconds since `last_heard`, as far as the master has been running since."""
        return now - max(last_heard, self._running_since)

    def _detect_stall(self, now: float) -> None:
        if now > self._due + LATE_SECONDS:
            self._running_since = now
