"""A connection without a server around it: what stands in for the pool and the epoll only takes notes."""

from __future__ import annotations

import socket
from collections import deque
from typing import Any

from ropewalk.http.chunked import ChunkLimits
from ropewalk.http.head import HeadLimits
from ropewalk.net.connection import Connection
from ropewalk.net.connection_config import ConnectionConfig, ConnectionEvents

TIMEOUT = 60.0


class Surroundings:
    """The pool's queue, and what the connection asked of the epoll and reported."""

    def __init__(self) -> None:
        self.queue: deque[Any] = deque()
        self.armed: list[int] = []  # the events of each call
        self.closed: list[bool] = []  # whether a response was cut
        self.refused: list[int] = []  # status codes
        self.events: ConnectionEvents[Any] = ConnectionEvents(
            register=self._arm,
            arm=self._arm,
            queue=self.queue.append,
            ready=self.queue,
            call_soon=lambda call: None,
            on_closed=lambda connection, is_cut: self.closed.append(is_cut),
            on_refused=self._refuse,
        )

    def _arm(self, fd: int, events: int) -> None:
        self.armed.append(events)

    def _refuse(self, connection: Any, status_code: int) -> str:
        self.refused.append(status_code)
        return ""

    def connection(self, sock: Any, handshake: Any = None, **timeouts: float) -> Connection[Any, Any]:
        """A connection on `sock`, which has only to look like a socket."""
        times = dict.fromkeys(("head_timeout", "idle_timeout", "body_timeout", "send_timeout"), TIMEOUT) | timeouts
        config = ConnectionConfig(
            head_limits=HeadLimits(), chunk_limits=ChunkLimits(content=0), body_memory=1024, **times
        )
        return Connection(sock, None, config, self.events, None, handshake)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """A peer's socket, and ours, which does not block."""
    peer, ours = socket.socketpair()
    peer.settimeout(20)
    ours.setblocking(False)
    return peer, ours
