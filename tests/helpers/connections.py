"""A connection without a server around it: fakes of the pool and of the epoll record what it asks for."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from ropewalk.errors import ProtocolError
from ropewalk.http.chunked import ChunkLimits
from ropewalk.http.head import HeadLimits
from ropewalk.net.body_budget import BodyBudget
from ropewalk.net.connection import Connection
from ropewalk.net.connection_config import ConnectionConfig, ConnectionEvents
from ropewalk.net.request_reader import RequestLimits
from ropewalk.net.response_budget import ResponseBudget

TIMEOUT = 60.0


class Surroundings:
    """The pool's queue, and what the connection asked of the epoll and reported."""

    def __init__(self) -> None:
        self.queue: deque[Any] = deque()
        self.soon: list[Callable[[], None]] = []  # what another thread is to call
        self.armed: list[int] = []  # the events of each call
        self.closed: list[bool] = []  # whether a response was cut
        self.refused: list[int] = []  # status codes
        self.response_budget = ResponseBudget(1 << 30, 0)
        self.disconnected: list[str] = []  # why a handshake was refused
        self.events: ConnectionEvents[Any] = ConnectionEvents(
            register=self._arm,
            arm=self._arm,
            queue=self.queue.append,
            ready=self.queue,
            call_soon=self.soon.append,
            on_closed=lambda connection, is_cut: self.closed.append(is_cut),
            on_refused=self._refuse,
            on_disconnected=lambda peer, reason: self.disconnected.append(reason),
        )

    def _arm(self, fd: int, events: int) -> None:
        self.armed.append(events)

    def _refuse(self, connection: Any, error: ProtocolError) -> tuple[str, str]:
        self.refused.append(error.status_code)
        return "", ""

    def connection(self, sock: Any, handshake: Any = None, **timeouts: float) -> Connection[Any, Any]:
        """A connection on `sock`, which has only to look like a socket."""
        times = dict.fromkeys(("head_timeout", "idle_timeout", "body_timeout", "send_timeout"), TIMEOUT) | timeouts
        config = ConnectionConfig(
            request_limits=RequestLimits(HeadLimits(), ChunkLimits(content=0), 1024, BodyBudget(0)),
            response_budget=self.response_budget,
            **times,
        )
        return Connection(sock, None, config, self.events, None, handshake)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """A peer's socket, and ours, which does not block."""
    peer, ours = socket.socketpair()
    peer.settimeout(20)
    ours.setblocking(False)
    return peer, ours


class ScriptedSocket:
    """Delivers one request; takes the octets of `takes` (None: it is full), then everything, or raises `ending`."""

    def __init__(self, request: bytes, takes: list[int | None], ending: type[OSError] | None = None) -> None:
        self._input = [request]
        self._takes = takes
        self._ending = ending
        self.taken = b""

    def fileno(self) -> int:
        return 1 << 20

    def recv(self, count: int) -> bytes:
        return self._input.pop() if self._input else b""

    def send(self, octets: bytes | memoryview) -> int:
        if not self._takes and self._ending is not None:
            raise self._ending
        count = self._takes.pop(0) if self._takes else len(octets)
        if count is None:
            raise BlockingIOError
        self.taken += bytes(octets[:count])
        return min(count, len(octets))

    def sendmsg(self, parts: list[bytes]) -> int:
        return self.send(b"".join(parts))

    def shutdown(self, how: int) -> None: ...

    def setsockopt(self, level: int, name: int, value: bytes) -> None: ...

    def close(self) -> None: ...
