"""Draining: finish the requests in flight, and close each connection when it is idle.

Runs in a thread of the caller, while the threads of the pool serve on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ropewalk.net.acceptor import Acceptor
from ropewalk.net.connection_config import ConnectionConfig
from ropewalk.net.connection_states import State
from ropewalk.threads.pool import Pool
from ropewalk.wsgi.exchange import WsgiConnection

FIRST_INTERVAL = 0.001  # seconds between the first checks of the remaining connections
DRAIN_INTERVAL = 0.02  # and between later ones
IDLE_GRACE = 0.5  # seconds in which a connection may send its next request, whose response then closes it
WITHOUT_REQUEST = frozenset({State.HANDSHAKE, State.IDLE})


class Drained(NamedTuple):
    """What became of the requests that were in flight when draining began, or came later."""

    finished: int
    aborted: int


def drain(
    pool: Pool,
    config: ConnectionConfig,
    acceptors: Iterable[Acceptor],
    connections: Callable[[], Iterable[WsgiConnection]],
    deadline: float,
    idle_grace: float = IDLE_GRACE,
    first_grace: float | None = None,
) -> Drained:
    """Accept no more, finish what is in flight until `deadline` (monotonic seconds); blocks.

    Connections in the backlog are accepted before the listening sockets are closed. Every response closes its
    connection, and an idle connection is closed after a silence of `idle_grace` seconds. One that is in use, as that of
    a proxy, so learns it from the response to its next request, and does not send that to a closed socket.
    `first_grace` is the time for the first request of a connection, by default the same.
    """
    finished_before = pool.finished
    for acceptor in acceptors:
        acceptor.drain()
    config.allow_keep_alive = False
    pool.nudge()
    began = time.monotonic()
    graces = idle_grace, idle_grace if first_grace is None else first_grace
    while _close_idle(pool, config, connections(), began, *graces) and (now := time.monotonic()) < deadline:
        time.sleep(min(DRAIN_INTERVAL, max(FIRST_INTERVAL, (now - began) / 4)))
    aborted = sum(connection.state not in WITHOUT_REQUEST for connection in connections())
    return Drained(pool.finished - finished_before, aborted)


def _close_idle(
    pool: Pool,
    config: ConnectionConfig,
    connections: Iterable[WsgiConnection],
    began: float,
    idle_grace: float,
    first_grace: float,
) -> bool:
    """Close the connections that wait for a request; return whether any connection is left."""
    now = time.monotonic()
    is_grace_over = now >= began + idle_grace
    latest_deadline = now + config.idle_timeout - idle_grace  # of a connection that has been idle for that long
    is_any_left = False
    pool.refuse_overdue()
    for connection in connections:
        is_any_left = True
        connection.check_deadline(now)  # the pool does not sweep once its listening sockets are closed
        is_over = is_grace_over or connection.deadline <= latest_deadline
        if connection.state in WITHOUT_REQUEST and (is_over if connection.requests else now >= began + first_grace):
            connection.wake()
    return is_any_left
