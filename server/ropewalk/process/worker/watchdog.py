"""Requests that run past their timeout: which they are, and the stack of every thread.

Runs in the worker's main thread, which has nothing else to do, or in a thread of an embedded server.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ropewalk.logs.error_log import get_logger

Running = tuple[int, str, float]
"""A thread's ident, a description of what it runs, and since when (monotonic)."""

MIN_INTERVAL = 0.05
MAX_INTERVAL = 1.0


RELEASE_SECONDS = 2.0
"""How long an interrupted request may take to release its thread before the worker counts as stuck."""


class Overdue(NamedTuple):
    """A request that ran past its timeout. `ident` and `started` are those of `Running`."""

    ident: int
    started: float
    thread: str
    description: str
    seconds: float


class Watchdog:
    """Checks now and then what runs, and finds each overdue request once."""

    def __init__(
        self,
        timeout: float,
        running: Callable[[], Sequence[Running]],
        timeout_of: Callable[[int, float], float] | None = None,
    ) -> None:
        """`timeout` is the shortest of all requests; `timeout_of(ident, started)` is that of one request, in seconds.

        It is called only for what has run past `timeout`, and returns `inf` for no limit, or if it has finished.
        """
        self._timeout = timeout
        self._running = running
        self._timeout_of = timeout_of
        self._found: dict[tuple[int, float], float] = {}
        """Overdue requests that still run, and when each was found."""

    @property
    def interval(self) -> float:
        """Seconds between checks: a timeout is late by a quarter of itself, at most by a second."""
        return min(MAX_INTERVAL, max(MIN_INTERVAL, self._timeout / 4))

    def find_overdue(self, now: float) -> list[Overdue]:
        """The requests that have become overdue since the last call."""
        running = self._running()
        still = {(ident, started) for ident, _, started in running}
        self._found = {key: since for key, since in self._found.items() if key in still}
        overdue = []
        for ident, description, started in running:
            if (ident, started) not in self._found and self._is_overdue(ident, started, now - started):
                self._found[ident, started] = now
                overdue.append(Overdue(ident, started, _name_of(ident), description, now - started))
        return overdue

    def _is_overdue(self, ident: int, started: float, seconds: float) -> bool:
        if seconds < self._timeout:
            return False
        return self._timeout_of is None or seconds >= self._timeout_of(ident, started)

    def is_stuck(self, now: float) -> bool:
        """Whether a request still holds its thread `RELEASE_SECONDS` after it was found, as of the last check."""
        return any(now - since >= RELEASE_SECONDS for since in self._found.values())


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
        get_logger().text("Stacks of all threads:\n" + format_stacks())
    for request in overdue:
        interrupt(request.ident, request.started)


def interrupt_all(running: Sequence[Running], interrupt: Callable[[int, float], object]) -> None:
    """The same with everything that runs: at the end of the grace period there is no more time for it."""
    now = time.monotonic()
    interrupt_overdue([Overdue(i, began, _name_of(i), what, now - began) for i, what, began in running], interrupt)


def format_stacks() -> str:
    """The stack of every thread of this process, for the log."""
    parts = []
    for ident, frame in sorted(sys._current_frames().items()):
        parts.append(f"Thread {_name_of(ident)} ({ident}):\n" + "".join(traceback.format_stack(frame)))
    return "".join(parts)


def _name_of(ident: int) -> str:
    return next((thread.name for thread in threading.enumerate() if thread.ident == ident), "?")
