"""How much of all responses a worker holds for clients that take them slowly, in memory and in temporary files.

A limit for each connection does not bound that: 150 readers of a list of 5 MiB held 750 MiB. Below the limit of memory,
what a client has not taken stays where the application made it; above, it is moved to a temporary file; and past the
limit of both together, threads wait for their clients.
"""

from __future__ import annotations

import threading
from math import inf
from time import monotonic
from typing import Protocol

from ropewalk.logs.error_log import get_logger

log = get_logger()

# So much of a response is kept in memory whatever the limits: a temporary file, which takes a descriptor, would save
# nothing. For all 16384 connections (the default --limit-connections) it is 256 MiB.
UNCOUNTED_OCTETS = 16 * 1024

# An object from this size on is counted by itself, and once however many clients wait for it: an application may pass
# the same one to all of them, from a cache of its own. Smaller ones cost more to look up than they may save.
MIN_OBJECT = 64 * 1024

FAILED_SECONDS = 10.0  # without temporary files, after one could not be written
LOG_INTERVAL = 60.0  # seconds between two messages about the same


class Holder(Protocol):
    """What holds small parts of a response."""

    counted_octets: int
    """Of the budget; changed by the budget alone."""


class ResponseBudget:
    """Counts what all write buffers hold. Any thread."""

    __slots__ = (
        "_lock",
        "_log_after",
        "_max_memory",
        "_max_octets",
        "_no_files_until",
        "_objects",
        "file_octets",
        "memory_octets",
        "waiting_threads",
    )

    def __init__(self, max_memory: int, max_octets: int) -> None:
        """Both limits are in octets: of memory, and of memory and temporary files together (0: no limit)."""
        self._max_memory = max_memory
        self._max_octets = max_octets or inf
        self._lock = threading.Lock()  # guards everything that changes; the numbers are read by any thread
        self._objects: dict[int, int] = {}  # by id, which lasts since they are held: how many buffers hold the object
        self._no_files_until = 0.0  # monotonic
        self._log_after = 0.0  # monotonic
        self.memory_octets = 0
        self.file_octets = 0
        self.waiting_threads = 0  # for clients to take more

    def has_room(self, octets: int = 1) -> bool:
        """Whether so much more may be held, in memory or in files."""
        if self.memory_octets + self.file_octets + octets > self._max_octets:
            return False
        return not self._no_files_until or monotonic() >= self._no_files_until

    def hold_object(self, content: bytes, *, is_forced: bool = False) -> bool:
        """Count a large object, unless another buffer holds it too; False if there is no memory for it."""
        key = id(content)
        with self._lock:
            holders = self._objects.get(key, 0)
            if not holders:
                if self.memory_octets + len(content) > self._max_memory and not is_forced:
                    return False
                self.memory_octets += len(content)
            self._objects[key] = holders + 1
            return True

    def release_object(self, content: bytes) -> None:
        """Undo `hold_object`."""
        key = id(content)
        with self._lock:
            holders = self._objects.pop(key) - 1
            if holders:
                self._objects[key] = holders
            else:
                self.memory_octets -= len(content)

    def hold(self, holder: Holder, octets: int, *, is_forced: bool = False) -> bool:
        """Count `octets` of small parts, instead of what was counted before; False if there is no memory for them."""
        counted = max(0, octets - UNCOUNTED_OCTETS)
        more = counted - holder.counted_octets
        if not more:
            return True
        with self._lock:
            if more > 0 and self.memory_octets + more > self._max_memory and not is_forced:
                return False
            self.memory_octets += more
            holder.counted_octets = counted
            return True

    def add_file_octets(self, octets: int) -> None:
        """A temporary file has become larger, or was closed (a negative number)."""
        with self._lock:
            self.file_octets += octets

    def on_file_failed(self, error: OSError) -> None:
        """A temporary file cannot be written: for a while, threads wait for their clients instead."""
        now = monotonic()
        with self._lock:
            is_first = now >= self._no_files_until
            self._no_files_until = now + FAILED_SECONDS
        if is_first:
            log.error("cannot store responses for slow clients in a temporary file: %s", error)

    def begin_wait(self) -> None:
        """A thread begins to wait for its client."""
        now = monotonic()
        with self._lock:
            self.waiting_threads += 1
            is_logged = not self.has_room() and now >= self._log_after
            if is_logged:
                self._log_after = now + LOG_INTERVAL
        if is_logged:
            log.warning(
                "Slow clients have not taken %d MiB of their responses (--limit-buffered-responses): a thread that "
                "responds to one now waits for it. This is logged once a minute.",
                (self.memory_octets + self.file_octets) >> 20,
            )

    def end_wait(self) -> None:
        with self._lock:
            self.waiting_threads -= 1
