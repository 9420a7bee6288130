"""How much of all requests' content a worker holds at a time, in memory and in temporary files.

A limit for each request does not bound that: thousands of connections may each be in the middle of a body.
"""

from __future__ import annotations

import threading
from math import inf
from typing import Protocol

from ropewalk.errors import OverloadError

# Content up to this size is not counted, so that forms are accepted while uploads use up the budget: it fits into one
# read of a socket, and that of all 16384 connections (the default --limit-connections) is 256 MiB.
UNCOUNTED_OCTETS = 16 * 1024


class Holder(Protocol):
    """What holds content."""

    counted_octets: int
    """Of the budget; changed by the budget alone."""


class BodyBudget:
    """Counts the octets that all spools hold, above `UNCOUNTED_OCTETS` each. Any thread."""

    __slots__ = ("_limit", "_lock", "octets")

    def __init__(self, limit: int) -> None:
        """`limit` is in octets; 0: no limit."""
        self._limit = limit or inf
        self._lock = threading.Lock()
        self.octets = 0  # under _lock; read by any thread

    def check(self, octets: int) -> None:
        """Raise `OverloadError` if there is no room for that much at present."""
        if octets > 0 and self.octets + octets > self._limit:
            raise OverloadError("bodies", "request bodies hold more than --limit-request-bodies")

    def take(self, holder: Holder, octets: int) -> None:
        """Count `octets` for the holder, instead of what was counted for it before. Raises `OverloadError`."""
        with self._lock:
            self.check(octets - holder.counted_octets)
            self.octets += octets - holder.counted_octets
            holder.counted_octets = octets

    def release(self, holder: Holder) -> None:
        """Count nothing for the holder."""
        if holder.counted_octets:
            with self._lock:
                self.octets -= holder.counted_octets
                holder.counted_octets = 0
