"""How many threads may be active: the decisions, without the threads.

Under the GIL, threads that all hold work starve each other of the interpreter; an application that waits wants as many
as it has requests. Nobody can set that number well, so it is found: *rescue* answers at once when everything is
stuck, *tune* follows the share of time in which the process works.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

RESCUE_INTERVAL = 0.002  # seconds between looks while requests run: a finished answer waits no longer behind a slow one
PATIENT_LOOKS = 5  # looks for which a thread that computes may be the only one: fairness then outweighs speed
TUNE_INTERVAL = 0.020  # seconds: ten looks, and still well under what a person notices
BLOCKING_BELOW = 0.80  # share of work over wall time under which the application is taken to wait
COMPUTING_ABOVE = 0.92  # share over which the interpreter is taken to be full


class Measures(Protocol):
    """What the controller asks for only when it has to: each costs system calls."""

    def work_seconds(self) -> float:
        """Seconds in which threads ran or waited for a processor, since some moment."""

    def is_working(self) -> bool:
        """Whether a thread runs or waits for a processor now."""


class Look(NamedTuple):
    """What the controller sees each time."""

    wall: float  # seconds
    finished: int  # requests whose application has returned, since the start
    is_polled: bool  # a thread waits in the epoll: whatever comes will be taken
    has_work: bool  # something is running or queued


class Controller:
    """Decides the limit of active threads. Used by one thread; `limit` may be read by all."""

    def __init__(self, floor: int, ceiling: int, measures: Measures) -> None:
        self.limit = floor
        self.floor = floor  # as many as compute at once: one under the GIL
        self.finished = 0  # at the last look
        self._ceiling = ceiling
        self._measures = measures
        self._stuck_looks = 0
        self._tuned: tuple[float, float] | None = None  # wall and work seconds when it was tuned last

    def look(self, look: Look) -> int:
        """Take a look, every `RESCUE_INTERVAL` while there is work; return the limit from here on."""
        is_stuck = look.has_work and not look.is_polled and look.finished == self.finished
        self.finished = look.finished
        self._stuck_looks = self._stuck_looks + 1 if is_stuck else 0
        if is_stuck and (self._stuck_looks >= PATIENT_LOOKS or not self._measures.is_working()):
            self._stuck_looks = 0
            self.limit = min(self.limit + 1, self._ceiling)
        if self._tuned is None:
            self._tuned = look.wall, self._measures.work_seconds()
        elif look.wall - self._tuned[0] >= TUNE_INTERVAL:
            now = look.wall, self._measures.work_seconds()
            self._tune((now[1] - self._tuned[1]) / (now[0] - self._tuned[0]), look)
            self._tuned = now
        return self.limit

    def rest(self) -> None:
        """There is no work: forget the last look, so that idle time is not taken for waiting."""
        self._tuned = None
        self._stuck_looks = 0

    def _tune(self, share: float, now: Look) -> None:
        if share > COMPUTING_ABOVE * self.floor:
            self.limit = max(self.limit - 1, self.floor)
        elif share < BLOCKING_BELOW * self.floor and not now.is_polled and now.has_work:
            self.limit = min(self.limit + max(1, self.limit // 2), self._ceiling)
