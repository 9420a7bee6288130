"""Requests that run past their timeout, and streams that are quiet for longer than theirs: which they are, and the
stack of every thread.

A request whose response does not begin is a reason to replace the worker if its thread cannot be interrupted. A stream
is none: the client has its response, and the other requests of the worker need not suffer. Its thread is lost until the
call returns that it is in; only when all threads are, nothing can be served any more, and the worker is replaced.

Runs in the worker's main thread, which has nothing else to do, or in a thread of an embedded server.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple

from ropewalk.logs.error_log import get_logger


class Running(NamedTuple):
    """What a thread runs."""

    ident: int
    description: str
    since: float
    """Monotonic; of a streamed response: since when it has been quiet."""
    is_streaming: bool = False
    """Its response has begun to be streamed."""


Interrupt = Callable[[int, float], object]
"""Called with the ident and start of what runs; returns whether that was interrupted."""

MIN_INTERVAL = 0.05
MAX_INTERVAL = 1.0


RELEASE_SECONDS = 2.0
"""How long an interrupted request may take to release its thread before the worker counts as stuck."""


class Overdue(NamedTuple):
    """A request that ran past its timeout. `ident` and `started` are those of `Running`, as is `is_streaming`."""

    ident: int
    started: float
    thread: str
    description: str
    seconds: float
    is_streaming: bool = False


class Watchdog:
    """Checks now and then what runs, and finds each overdue request once."""

    def __init__(
        self,
        timeout: float,
        running: Callable[[], Sequence[Running]],
        timeout_of: Callable[[int, float], float] | None = None,
        capacity: Callable[[], float] = lambda: inf,
    ) -> None:
        """`timeout` is the shortest of all requests; `timeout_of(ident, started)` is that of one request, in seconds.

        It is called only for what has run past `timeout`, and returns `inf` for no limit, or if it has finished.
        `capacity` returns how many requests can run at once.
        """
        self._timeout = timeout
        self._running = running
        self._timeout_of = timeout_of
        self._capacity = capacity
        self._found: dict[tuple[int, float], tuple[float, bool]] = {}
        """Overdue requests that still run: when each was found, and whether it is a stream."""
        self._to_interrupt: set[tuple[int, float]] = set()
        """Those of them that could not be interrupted yet."""

    @property
    def interval(self) -> float:
        """Seconds between checks: a timeout is late by a quarter of itself, at most by a second."""
        return min(MAX_INTERVAL, max(MIN_INTERVAL, self._timeout / 4))

    def find_overdue(self, now: float) -> list[Overdue]:
        """The requests that have become overdue since the last call."""
        running = self._running()
        still = {(each.ident, each.since) for each in running}
        self._found = {key: found for key, found in self._found.items() if key in still}
        overdue = []
        for each in running:
            key = each.ident, each.since
            if key not in self._found and self._is_overdue(*key, now - each.since):
                self._found[key] = now, each.is_streaming
                overdue.append(_overdue(each, now))
        return overdue

    def interrupt_overdue(self, now: float, interrupt: Interrupt) -> list[Overdue]:
        """Log and interrupt the requests that have become overdue since the last call, and return them.

        One that cannot be interrupted at this moment, since its response just begins or ends, has its turn in the next
        call, if it still runs then.
        """
        overdue = self.find_overdue(now)
        log_overdue(overdue)
        self._to_interrupt = {key for key in self._to_interrupt if key in self._found}
        self._to_interrupt.update((each.ident, each.started) for each in overdue)
        self._to_interrupt -= {key for key in self._to_interrupt if interrupt(*key)}
        return overdue

    def _is_overdue(self, ident: int, started: float, seconds: float) -> bool:
        if seconds < self._timeout:
            return False
        return self._timeout_of is None or seconds >= self._timeout_of(ident, started)

    def stuck_reason(self, now: float) -> str:
        """Why the worker has to be replaced, as of the last check; "" if it does not.

        A request still holds its thread `RELEASE_SECONDS` after it was found, or all threads are held by streams.
        """
        held = [is_stream for since, is_stream in self._found.values() if now - since >= RELEASE_SECONDS]
        if not all(held):
            return "a request that timed out does not release its thread"
        if held and len(held) >= self._capacity():
            return "streams that timed out do not release their threads, and no other thread is left"
        return ""


def log_overdue(overdue: Sequence[Overdue]) -> None:
    """A line for each of them, and the stacks of all threads if a response has not begun."""
    pid, requests = os.getpid(), [each for each in overdue if not each.is_streaming]
    for each in requests:
        get_logger().critical(
            "Worker timeout (pid: %d): %s has run for %.1f s in %s", pid, each.description, each.seconds, each.thread
        )
    if requests:
        get_logger().text("Stacks of all threads:\n" + format_stacks())
    for each in overdue:
        if each.is_streaming:
            get_logger().warning(
                "Stream timeout (pid: %d): %s has produced nothing for %.1f s in %s; its response ends incomplete",
                pid,
                each.description,
                each.seconds,
                each.thread,
            )


def interrupt_all(running: Sequence[Running], interrupt: Interrupt) -> None:
    """Interrupt everything that runs: at the end of the grace period there is no more time for it.

    Streams are not logged one by one: that they go on until then is not unusual.
    """
    now = time.monotonic()
    log_overdue([_overdue(each, now) for each in running if not each.is_streaming])
    for each in running:
        interrupt(each.ident, each.since)


def format_stacks() -> str:
    """The stack of every thread of this process, for the log. Threads that are at the same place share one."""
    threads_at: dict[str, list[str]] = {}
    for ident, frame in sorted(sys._current_frames().items()):
        threads_at.setdefault("".join(traceback.format_stack(frame)), []).append(f"{_name_of(ident)} ({ident})")
    return "".join(f"Thread {', '.join(threads)}:\n{stack}" for stack, threads in threads_at.items())


def _overdue(each: Running, now: float) -> Overdue:
    ident, description, since, is_streaming = each
    return Overdue(ident, since, _name_of(ident), description, now - since, is_streaming)


def _name_of(ident: int) -> str:
    return next((thread.name for thread in threading.enumerate() if thread.ident == ident), "?")
