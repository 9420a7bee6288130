"""Requests that run too long: which ones they are, and what every thread is doing.

Runs in the worker's main thread, which has nothing else to do. It frees nothing by itself: the worker tells, logs
and asks to be replaced.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ropewalk.logs.error_log import get_logger

Running = tuple[int, str, float]
"""A thread's ident, what it runs, and since when (monotonic)."""

LEAST_INTERVAL = 0.05
MOST_INTERVAL = 1.0


RELEASE_SECONDS = 2.0
"""How long an interrupted request may take to let go of its thread before the worker counts as stuck."""


class Overdue(NamedTuple):
    """A request that ran past the timeout. `ident` and `started` are those of `Running`."""

    ident: int
    started: float
    thread: str
    description: str
    seconds: float


class Watchdog:
    """Looks at what runs, now and then, and tells each overdue request once."""

    def __init__(
        self,
        timeout: float,
        running: Callable[[], Sequence[Running]],
        timeout_of: Callable[[int, float], float] | None = None,
    ) -> None:
        """`timeout` is the shortest that anything has; `timeout_of` tells that of what a thread runs since a moment.

        It is asked only past `timeout`, and answers in seconds (`inf`: for ever, or it runs no more).
        """
        self._timeout = timeout
        self._running = running
        self._timeout_of = timeout_of
        self._told: dict[tuple[int, float], float] = {}
        """Overdue requests that still run, and when each was told."""

    @property
    def interval(self) -> float:
        """Seconds between two looks: a timeout is late by a quarter of itself, or a second, at most."""
        return min(MOST_INTERVAL, max(LEAST_INTERVAL, self._timeout / 4))

    def look(self, now: float) -> list[Overdue]:
        """The requests that have become overdue since the last look."""
        running = self._running()
        still = {(ident, started) for ident, _, started in running}
        self._told = {key: told for key, told in self._told.items() if key in still}
        overdue = []
        for ident, description, started in running:
            if (ident, started) not in self._told and self._is_overdue(ident, started, now - started):
                self._told[ident, started] = now
                overdue.append(Overdue(ident, started, _name_of(ident), description, now - started))
        return overdue

    def _is_overdue(self, ident: int, started: float, seconds: float) -> bool:
        if seconds < self._timeout:
            return False
        return self._timeout_of is None or seconds >= self._timeout_of(ident, started)

    def is_stuck(self, now: float) -> bool:
        """Whether a request still holds its thread `RELEASE_SECONDS` after it was told, as of the last look."""
        return any(now - told >= RELEASE_SECONDS for told in self._told.values())


def interrupt_overdue(overdue: Sequence[Overdue], interrupt: Callable[[int, float], object]) -> None:
    """Log these requests and the stacks of all threads, then call `interrupt` with the ident and start of each."""
    for request in overdue:
        get_logger().critical(
            "Worker timeout (pid: %d): %s has run for %.1f s in %s",
            os.getpid(),
            request.description,
            request.seconds,
            request.thread,
        )
    if overdue:
        get_logger().text("What every thread is doing:\n" + stacks())
    for request in overdue:
        interrupt(request.ident, request.started)


def stacks() -> str:
    """What every thread of this process is doing, for the log."""
    parts = []
    for ident, frame in sorted(sys._current_frames().items()):
        parts.append(f"Thread {_name_of(ident)} ({ident}):\n" + "".join(traceback.format_stack(frame)))
    return "".join(parts)


def _name_of(ident: int) -> str:
    return next((thread.name for thread in threading.enumerate() if thread.ident == ident), "?")
