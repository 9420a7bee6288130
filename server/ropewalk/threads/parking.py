"""What a parked thread waits on: each `release` lets it continue once."""

from __future__ import annotations

import threading
from typing import Protocol


class Parking(Protocol):
    """Initially held: the first `acquire` blocks until there is a `release`."""

    def acquire(self) -> object:
        """Wait for a `release`, and use it up."""

    def release(self) -> None:
        """Let one `acquire` return: the one that waits, or the next. Called once for each."""


def make_parking(*, spins: bool) -> Parking:
    """A lock; or, where a lock `spins`, something that does not.

    Without the GIL, a thread that waits for a lock first yields its processor forty times, since locks are mostly held
    for moments. A parked thread waits for work, and would take processor time from the threads that have some.
    """
    if spins:
        return _QueueParking()
    lock = threading.Lock()
    lock.acquire()
    return lock


class _QueueParking:
    __slots__ = ("_put", "acquire")

    def __init__(self) -> None:
        from queue import SimpleQueue

        releases: SimpleQueue[None] = SimpleQueue()
        self.acquire = releases.get
        self._put = releases.put

    def release(self) -> None:
        self._put(None)
