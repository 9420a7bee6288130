"""What a parked thread waits at: closed until another thread opens it for one passage."""

from __future__ import annotations

import threading
from typing import Protocol


class Parking(Protocol):
    """Closed when it is made."""

    def acquire(self) -> object:
        """Wait until it is opened, pass, and close it."""

    def release(self) -> None:
        """Open it. Called once for each passage, before it or while it is waited for."""


def make_gate(*, spins: bool) -> Parking:
    """A lock; or, where a lock `spins`, something that does not.

    Without the GIL a thread that waits for a lock first gives up its processor forty times, since locks are mostly held
    for moments. Who waits at a gate waits for work, and would take the processor from those that have some.
    """
    if spins:
        return _QueueGate()
    lock = threading.Lock()
    lock.acquire()
    return lock


class _QueueGate:
    __slots__ = ("_put", "acquire")

    def __init__(self) -> None:
        from queue import SimpleQueue

        passages: SimpleQueue[None] = SimpleQueue()
        self.acquire = passages.get
        self._put = passages.put

    def release(self) -> None:
        self._put(None)
