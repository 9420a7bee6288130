"""How many threads may be active: the decisions, without the threads.

Under the GIL, threads that all hold work starve each other of the interpreter; an application that waits wants as many
as it has requests. Nobody can set that number well, so it is found: *rescue* answers at once when everything is
stuck, *tune* follows the share of time in which the process works. A look takes the interpreter away from whoever
computes; so they are rare while all that happens is computing, in requests so long that no answer waits for another's.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple, Protocol

RESCUE_INTERVAL = 0.001  # seconds between looks while requests run
HELD_AFTER = 0.0005  # seconds inside the application behind which a look asks: an answer before it waits for under 2 ms
PATIENCE = 0.010  # seconds for which a thread that computes may be the only one: fairness then outweighs speed
LONG_RUN = 0.001  # seconds: answers made behind this much of running are sent before more is run
TUNE_INTERVAL = 0.020  # seconds: twenty looks, and still well under what a person notices
BLOCKING_BELOW = 0.80  # share of work over wall time under which the application is taken to wait
COMPUTING_ABOVE = 0.92  # share over which the interpreter is taken to be full


class Measures(Protocol):
    """What the controller asks for only when it has to: each costs system calls."""

    def cpu_seconds(self) -> float:
        """Seconds in which threads ran, since some moment: cheaper to ask, but less than below on a busy machine."""

    def work_seconds(self) -> float:
        """Seconds in which threads ran or waited for a processor, since some moment."""

    def is_working(self) -> bool:
        """Whether a thread runs or waits for a processor now."""


class Sample(NamedTuple):
    """What the controller sees each time."""

    wall: float  # seconds
    finished: int  # requests whose application has returned, since the start
    is_polled: bool  # a thread waits in the epoll: whatever comes will be taken
    has_work: bool  # something is running or queued
    inside: int  # threads that run the application
    is_held: bool = False  # every active thread does, and has for `HELD_AFTER`, while something waits for them


class _Tuned(NamedTuple):
    wall: float
    cpu: float
    finished: int


class Controller:
    """Decides the limit of active threads. Used by one thread; `limit` may be read by all."""

    def __init__(self, floor: int, ceiling: int, measures: Measures) -> None:
        self.limit = floor
        self.floor = floor  # as many as compute at once: one under the GIL
        self.finished = 0  # at the last look
        self._ceiling = ceiling
        self._measures = measures
        self._looked = inf  # wall seconds of the last look; inf when it is forgotten
        self._stuck_since = inf  # wall seconds of the last look at which something was finished
        self._tuned: _Tuned | None = None  # when it was tuned last
        self._worked: tuple[float, float] | None = None  # wall and work seconds then, where they were asked for
        self._most_inside = 0  # since it was tuned last
        self.is_computing = False  # all the time since then, in long requests; may be read by all

    @property
    def interval(self) -> float:
        """Seconds until the next look."""
        return PATIENCE if self.is_computing else RESCUE_INTERVAL

    def look(self, look: Sample) -> int:
        """Take a look, behind each `interval` while there is work; return the limit from here on."""
        is_unattended = look.has_work and not look.is_polled
        is_stuck = is_unattended and look.finished == self.finished
        self.finished = look.finished
        if not is_stuck:
            self._stuck_since = look.wall
        is_impatient = is_stuck and look.wall - min(self._stuck_since, self._looked) >= PATIENCE
        is_suspect = is_stuck or (is_unattended and look.is_held)
        if is_impatient or (is_suspect and not self._measures.is_working()):
            self._stuck_since = look.wall
            self.is_computing = False
            self.limit = min(self.limit + 1, self._ceiling)
        self._looked = look.wall
        self._most_inside = max(self._most_inside, look.inside)
        if self._tuned is None:
            self._tuned = _Tuned(look.wall, self._measures.cpu_seconds(), look.finished)
        elif look.wall - self._tuned.wall >= TUNE_INTERVAL:
            self._tune(self._tuned, look)
        return self.limit

    def rest(self) -> None:
        """There is no work: forget the last look, so that idle time is not taken for waiting."""
        self._looked = self._stuck_since = inf
        self._tuned = self._worked = None
        self.is_computing = False

    def _tune(self, last: _Tuned, now: Sample) -> None:
        cpu = self._measures.cpu_seconds()
        self._tuned = _Tuned(now.wall, cpu, now.finished)
        passed = now.wall - last.wall
        most_inside, self._most_inside = self._most_inside, 0
        if cpu - last.cpu > COMPUTING_ABOVE * self.floor * passed:
            self._worked = None
            self.limit = max(self.limit - 1, self.floor)
            self.is_computing = self.limit == self.floor and (now.finished - last.finished) * LONG_RUN < passed
            return
        self.is_computing = False
        worked, self._worked = self._worked, (now.wall, self._measures.work_seconds())
        if worked is None:
            return
        share = (self._worked[1] - worked[1]) / (now.wall - worked[0])
        if share > COMPUTING_ABOVE * self.floor:
            self.limit = max(self.limit - 1, self.floor)
        elif self.floor > 1 and most_inside < self.limit:
            # Of several processors one may be free because there is no more to do, not because somebody waits.
            if most_inside + 1 < self.limit:
                self.limit = max(self.limit - 1, self.floor)
        elif share < BLOCKING_BELOW * self.floor and not now.is_polled and now.has_work:
            self.limit = min(self.limit + max(1, self.limit // 2), self._ceiling)
