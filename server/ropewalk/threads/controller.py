"""How many threads may be active: the decisions, without the threads.

Under the GIL, threads that all have work starve each other of the interpreter, while an application that waits needs as
many threads as it has requests. Nobody can choose that number well, so the controller finds it: it adds a thread at
once when nothing makes progress (*rescue*), and otherwise follows the share of time in which the process works
(*tune*). A tick takes the interpreter away from a thread that computes; so ticks are rarer while everything computes:
after a while without a rescue, and more so in requests so long that no response waits for another one's.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple, Protocol

RESCUE_INTERVAL = 0.001  # seconds between ticks while requests run
FLOWING_INTERVAL = 0.004  # the same while the interpreter is saturated and no request waits for anything else
CALM_SECONDS = 1.0  # without a rescue, after which the application is taken to be like that
HELD_AFTER = 0.0005  # seconds in the application after which a tick acts: a finished response waits for less than 2 ms
MAX_SOLO_SECONDS = 0.010  # for which a thread that computes may be the only one: then fairness outweighs speed
LONG_RUN = 0.001  # seconds of running after which finished responses are sent before more is run
TUNE_INTERVAL = 0.020  # seconds: twenty ticks, and still well below what a person notices
BLOCKING_BELOW = 0.80  # share of work in wall time below which the application is considered to wait
COMPUTING_ABOVE = 0.92  # share above which the interpreter is considered saturated


class Measures(Protocol):
    """What the controller measures only when it has to: each call costs system calls."""

    def cpu_seconds(self) -> float:
        """Seconds in which threads ran, from a fixed moment on. Cheaper than `work_seconds`; less on a busy machine."""

    def work_seconds(self) -> float:
        """Seconds in which threads ran or waited for a processor, from a fixed moment on."""

    def is_working(self) -> bool:
        """Whether any thread runs or waits for a processor now."""


class Sample(NamedTuple):
    """The state of the pool at one tick."""

    wall: float  # seconds
    finished: int  # requests that the application has returned from, since the start
    is_polled: bool  # a thread waits in the epoll: whatever comes will be taken
    has_work: bool  # something is running or queued
    inside: int  # threads that run the application
    is_held: bool = False  # all active threads do, and have for `HELD_AFTER`, while something waits for them


class _Tuned(NamedTuple):
    wall: float
    cpu: float
    finished: int


class Controller:
    """Decides the limit of active threads. Used by one thread; `limit` is read by all."""

    def __init__(self, floor: int, ceiling: int, measures: Measures) -> None:
        self.limit = floor
        self.floor = floor  # the number of threads that compute in parallel: one under the GIL
        self.finished = 0  # at the last tick
        self._ceiling = ceiling
        self._measures = measures
        self._ticked_at = inf  # wall seconds of the last tick; inf after `reset`
        self._stuck_since = inf  # wall seconds of the last tick at which something had finished
        self._tuned: _Tuned | None = None  # at the last tuning
        self._worked: tuple[float, float] | None = None  # wall and work seconds then, if measured
        self._rescued_at = 0.0  # wall seconds of the last rescue
        self._is_flowing = False  # saturated all the time since then, and long without a rescue
        self._most_inside = 0  # since the last tuning
        self.is_computing = False  # all the time since then, in long requests; read by all

    @property
    def interval(self) -> float:
        """Seconds until the next tick."""
        if self.is_computing:
            return MAX_SOLO_SECONDS
        return FLOWING_INTERVAL if self._is_flowing else RESCUE_INTERVAL

    def tick(self, sample: Sample) -> int:
        """Adjust the limit to the state of the pool, and return it. Called each `interval` while there is work."""
        is_unattended = sample.has_work and not sample.is_polled
        is_stuck = is_unattended and sample.finished == self.finished
        self.finished = sample.finished
        if not is_stuck:
            self._stuck_since = sample.wall
        is_stuck_long = is_stuck and sample.wall - min(self._stuck_since, self._ticked_at) >= MAX_SOLO_SECONDS
        is_suspect = is_stuck or (is_unattended and sample.is_held)
        if is_stuck_long or (is_suspect and not self._measures.is_working()):
            self._stuck_since = self._rescued_at = sample.wall
            self.is_computing = self._is_flowing = False
            self.limit = min(self.limit + 1, self._ceiling)
        self._ticked_at = sample.wall
        self._most_inside = max(self._most_inside, sample.inside)
        if self._tuned is None:
            self._tuned = _Tuned(sample.wall, self._measures.cpu_seconds(), sample.finished)
        elif sample.wall - self._tuned.wall >= TUNE_INTERVAL:
            self._tune(self._tuned, sample)
        return self.limit

    def reset(self) -> None:
        """Forget the last tick, since there is no work: idle time must not count as waiting."""
        self._ticked_at = self._stuck_since = inf
        self._tuned = self._worked = None
        self.is_computing = self._is_flowing = False

    def _tune(self, last: _Tuned, now: Sample) -> None:
        cpu = self._measures.cpu_seconds()
        self._tuned = _Tuned(now.wall, cpu, now.finished)
        passed = now.wall - last.wall
        most_inside, self._most_inside = self._most_inside, 0
        if cpu - last.cpu > COMPUTING_ABOVE * self.floor * passed:
            self._worked = None
            self.limit = max(self.limit - 1, self.floor)
            is_lowest = self.limit == self.floor
            self.is_computing = is_lowest and (now.finished - last.finished) * LONG_RUN < passed
            self._is_flowing = is_lowest and now.wall - self._rescued_at >= CALM_SECONDS
            return
        self.is_computing = self._is_flowing = False
        worked, self._worked = self._worked, (now.wall, self._measures.work_seconds())
        if worked is None:
            return
        share = (self._worked[1] - worked[1]) / (now.wall - worked[0])
        if share > COMPUTING_ABOVE * self.floor:
            self.limit = max(self.limit - 1, self.floor)
        elif self.floor > 1 and most_inside < self.limit:
            # One of several processors may be free because there is no more work, not because a request waits.
            if most_inside + 1 < self.limit:
                self.limit = max(self.limit - 1, self.floor)
        elif share < BLOCKING_BELOW * self.floor and not now.is_polled and now.has_work:
            self.limit = min(self.limit + max(1, self.limit // 2), self._ceiling)
