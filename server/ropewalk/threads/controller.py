"""How many threads may be active: the decisions, without the threads.

Under the GIL, threads that all hold work starve each other of the interpreter; an application that waits wants as many
as it has requests. Nobody can set that number well, so it is found: *rescue* answers at once when everything is
stuck, *tune* follows the share of time in which the process computes.
"""

from __future__ import annotations

from dataclasses import dataclass

RESCUE_INTERVAL = 0.002  # seconds between looks while requests run: a finished answer waits no longer behind a slow one
TUNE_INTERVAL = 0.020  # seconds: ten looks, and still well under what a person notices
BLOCKING_BELOW = 0.80  # share of CPU time over wall time under which the application is taken to wait
COMPUTING_ABOVE = 0.92  # share over which the interpreter is taken to be full


@dataclass(frozen=True, slots=True)
class Look:
    """What the controller sees: counts since the start, and times in seconds."""

    wall: float
    cpu: float
    finished: int  # requests whose application has returned
    is_polled: bool  # a thread waits in the epoll: whatever comes will be taken
    has_work: bool  # something is running or queued


class Controller:
    """Decides the limit of active threads. Used by one thread; `limit` may be read by all."""

    def __init__(self, floor: int, ceiling: int) -> None:
        self.limit = floor
        self._floor = floor
        self._ceiling = ceiling
        self._finished = 0
        self._tuned: Look | None = None

    def look(self, look: Look) -> int:
        """Take a look, every `RESCUE_INTERVAL` while there is work; return the limit from here on."""
        is_stuck = look.has_work and not look.is_polled and look.finished == self._finished
        self._finished = look.finished
        if is_stuck:
            self.limit = min(self.limit + 1, self._ceiling)
        if self._tuned is None:
            self._tuned = look
        elif look.wall - self._tuned.wall >= TUNE_INTERVAL:
            self._tune(self._tuned, look)
            self._tuned = look
        return self.limit

    def rest(self) -> None:
        """There is no work: forget the last look, so that idle time is not taken for waiting."""
        self._tuned = None

    def _tune(self, earlier: Look, now: Look) -> None:
        share = (now.cpu - earlier.cpu) / (now.wall - earlier.wall)
        if share > COMPUTING_ABOVE * self._floor:
            self.limit = max(self.limit - 1, self._floor)
        elif share < BLOCKING_BELOW * self._floor and not now.is_polled and now.has_work:
            self.limit = min(self.limit + max(1, self.limit // 2), self._ceiling)
