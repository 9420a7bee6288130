"""Closing idle keep-alive connections early, to let new ones in when descriptors or connections run out.

Without it, clients that keep their connections after a response keep everybody else out until `--keep-alive` has
passed. The connection that has been idle longest is closed first. One with a request is never closed: its socket is
shut down for reading, so its holder still receives a request that arrived before that, and closes it after the
response.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from operator import itemgetter
from time import monotonic
from typing import Any

from ropewalk.logs.error_log import get_logger
from ropewalk.net.connection import Connection
from ropewalk.net.connection_states import CLOSED, IDLE
from ropewalk.portable import POLLIN, Poll

log = get_logger()

# A connection that was used more recently is likely to be used again, and a proxy may be sending a request on it.
MIN_IDLE_SECONDS = 0.5

# Found in one pass over all connections: closing one of 16384 then costs some 50 us, and a request nothing.
CANDIDATES = 64

SCAN_INTERVAL = 0.05  # seconds without another pass, after one that found nothing to close
LOG_INTERVAL = 60.0  # seconds between two messages

# This share of the descriptors, up to a number, is kept free of idle connections: for files and databases.
RESERVED_SHARE = 16
MAX_RESERVED = 256

DESCRIPTORS, CONNECTIONS = "descriptors", "connections"

WHY = {DESCRIPTORS: "descriptors run out (RLIMIT_NOFILE)", CONNECTIONS: "--limit-connections is reached"}
"""For the log, by the reason that is counted."""


def scarce_from(limit: int) -> int:
    """The descriptor from which on few are free: the kernel always hands out the lowest one."""
    return limit - min(limit // RESERVED_SHARE, MAX_RESERVED)


class IdleCloser:
    """Closes idle connections of one service. Any thread."""

    def __init__(
        self,
        connections: Callable[[], Iterable[Connection[Any, Any]]],
        idle_timeout: float,
        count: Callable[[str], None],
    ) -> None:
        """`connections` returns the open ones, whose timeout is `idle_timeout`; `count(reason)` counts a closed one."""
        self.closing: set[Connection[Any, Any]] = set()
        """Connections that are about to be closed. Changed by atomic calls: the caller discards each that is closed."""
        self._connections = connections
        self._idle_timeout = idle_timeout
        self._count = count
        self._lock = threading.Lock()  # guards what follows
        self._candidates: deque[tuple[float, Connection[Any, Any]]] = deque()
        """Connections with the deadlines that they had when they were found, the one that was idle longest first."""
        self._scan_after = 0.0  # monotonic
        self._log_after = 0.0  # monotonic
        self._unlogged = 0

    def make_room(self, reason: str) -> bool:
        """Have the connection closed that has been idle longest; False if there is none that may be closed.

        It is closed a moment later, by the thread that finds the end of its input.
        """
        with self._lock:
            connection = self._longest_idle()
        if connection is None:
            return False
        connection.wake(socket.SHUT_RD)
        self._count(reason)
        self._log(reason)
        return True

    def _longest_idle(self) -> Connection[Any, Any] | None:
        connection = self._next_candidate()
        now = monotonic()
        if connection is None and now >= self._scan_after:
            self._scan(now)
            connection = self._next_candidate()
            if connection is None:
                self._scan_after = now + SCAN_INTERVAL
        return connection

    def _scan(self, now: float) -> None:
        """Find the candidates; later ones are idle for less long than all of these."""
        latest = now + self._idle_timeout - MIN_IDLE_SECONDS  # the deadline of one that is idle for so long
        idle = [
            (each.deadline, each)
            for each in self._connections()
            if each.state is IDLE and each.requests and each.deadline <= latest and each not in self.closing
        ]
        idle.sort(key=itemgetter(0))
        self._candidates.extend(idle[:CANDIDATES])

    def _next_candidate(self) -> Connection[Any, Any] | None:
        candidates = self._candidates
        while candidates:
            deadline, connection = candidates.popleft()
            if connection.state is not IDLE or connection.deadline != deadline or _has_input(connection):
                continue  # it was used since
            self.closing.add(connection)
            if not _is_closed(connection):  # otherwise it may have been discarded before it was added
                return connection
            self.closing.discard(connection)
        return None

    def _log(self, reason: str) -> None:
        with self._lock:
            self._unlogged += 1
            now = monotonic()
            if now < self._log_after:
                return
            self._log_after = now + LOG_INTERVAL
            count, self._unlogged = self._unlogged, 0
        log.warning(
            "Closing idle keep-alive connections to let new ones in, since %s: %d since the last such message, which "
            "is logged once a minute",
            WHY[reason],
            count,
        )


def _has_input(connection: Connection[Any, Any]) -> bool:
    """Whether a request has arrived that nobody has read yet, or the connection is closed."""
    poll = Poll()
    try:
        poll.register(connection.fd, POLLIN)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return True


def _is_closed(connection: Connection[Any, Any]) -> bool:
    """Asked again: another thread may close it at any moment."""
    return connection.state is CLOSED
