"""When a worker has done enough, and a fresh one is to take its place.

Runs in the worker's main thread, now and then: a worker may serve a few more requests than it was asked to, and none
of them pays for the question.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

LOOK_SECONDS = 0.5
"""Between two looks: a worker that serves thousands of requests a second is late by as many, and no matter."""

MIB = 1024 * 1024


class Lifetime(NamedTuple):
    """How much of a worker is enough; 0 for no end."""

    max_requests: int = 0
    max_requests_jitter: int = 0
    """Up to so many requests more, by chance: workers that began together do not end together."""
    max_rss: int = 0
    """Octets of memory that the process may hold."""

    def __bool__(self) -> bool:
        return bool(self.max_requests or self.max_rss)


class Recycler:
    """Looks at what this process has served and holds."""

    def __init__(
        self,
        lifetime: Lifetime,
        served: Callable[[], int],
        *,
        resident: Callable[[], int] | None = None,
        chance: Callable[[int, int], int] | None = None,
    ) -> None:
        """`served` counts the requests so far, `resident` the octets of memory, `chance` picks one from a range."""
        self._served = served
        self._resident = resident or resident_octets
        self._max_requests = lifetime.max_requests
        if self._max_requests:
            self._max_requests += (chance or _chance)(0, lifetime.max_requests_jitter)
        self._max_rss = lifetime.max_rss
        self._is_first_look = True

    def look(self) -> str:
        """Why this worker should be replaced; "" while it should not. Raises TooLittleError, at the first look only."""
        is_first, self._is_first_look = self._is_first_look, False
        served = self._served()
        if self._max_requests and served >= self._max_requests:
            return f"it has served {served} requests"
        if self._max_rss:
            resident = self._resident()
            if resident > self._max_rss:
                if is_first:
                    limit, self._max_rss = self._max_rss, 0
                    raise TooLittleError(
                        f"a fresh worker holds {resident // MIB} MiB already, which is past --max-rss "
                        f"({limit // MIB} MiB): its memory is not limited"
                    )
                return f"it holds {resident // MIB} MiB of memory"
        return ""


def _chance(low: int, high: int) -> int:
    """By chance, both ends included. Without `random`, a library of its own that a worker may not be able to read."""
    return low + int.from_bytes(os.urandom(8)) % (high - low + 1)


class TooLittleError(Exception):
    """A limit that no worker could keep: replacing one would only bring the next."""


def resident_octets(pid: int | None = None) -> int:
    """What a process (this one) holds in memory, in octets (proc(5), `statm`); 0 where the kernel does not tell."""
    try:
        with open(f"/proc/{pid or 'self'}/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
