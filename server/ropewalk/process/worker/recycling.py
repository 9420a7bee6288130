"""When a worker is to be replaced by a fresh one: after a number of requests, or past a size.

Runs in the worker's main thread, now and then: a worker may serve a few more requests than its limit, and no request
pays for the check.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

CHECK_SECONDS = 0.5
"""Between checks. A worker that serves thousands of requests a second exceeds its limit by as many: harmless."""

MIB = 1024 * 1024


class RecyclingLimits(NamedTuple):
    """After how much a worker is replaced; 0 for no limit."""

    max_requests: int = 0
    max_requests_jitter: int = 0
    """Up to this many are added at random, so that workers that started together are not replaced together."""
    max_rss: int = 0
    """Resident memory, in bytes."""

    def __bool__(self) -> bool:
        return bool(self.max_requests or self.max_rss)


class Recycler:
    """Checks what this process has served and how much memory it uses."""

    def __init__(
        self,
        limits: RecyclingLimits,
        served: Callable[[], int],
        *,
        resident: Callable[[], int] | None = None,
        random: Callable[[int, int], int] | None = None,
    ) -> None:
        """`served` counts the requests so far, `resident` the bytes of memory, `random` picks from a range."""
        self._served = served
        self._resident = resident or resident_bytes
        self._max_requests = limits.max_requests
        if self._max_requests:
            self._max_requests += (random or _random)(0, limits.max_requests_jitter)
        self._max_rss = limits.max_rss
        self._is_first_check = True

    def check(self) -> str:
        """Why this worker is to be replaced; "" if it is not. Raises LimitTooLowError, at the first check only."""
        is_first, self._is_first_check = self._is_first_check, False
        served = self._served()
        if self._max_requests and served >= self._max_requests:
            return f"it has served {served} requests"
        if self._max_rss:
            resident = self._resident()
            if resident > self._max_rss:
                if is_first:
                    limit, self._max_rss = self._max_rss, 0
                    raise LimitTooLowError(
                        f"Ignoring --max-rss ({limit // MIB} MiB): a worker that has just started already uses "
                        f"{resident // MIB} MiB"
                    )
                return f"it uses {resident // MIB} MiB of memory"
        return ""


def _random(low: int, high: int) -> int:
    """Both ends included. Without `random`, a module that a worker with another user may not be able to read."""
    return low + int.from_bytes(os.urandom(8)) % (high - low + 1)


class LimitTooLowError(Exception):
    """No worker could stay within the limit: each replacement would exceed it too."""


def resident_bytes(pid: int | None = None) -> int:
    """The resident memory of a process (default: this one), from `/proc/PID/statm` (proc(5)); 0 if unknown."""
    try:
        with open(f"/proc/{pid or 'self'}/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
