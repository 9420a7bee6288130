"""Listening sockets of the master for its clients, and their connections, served in the master's own poll loop.

A `Handler` understands what clients send: commands (`control.commands`) or HTTP (`control.admin_http`). Nothing here
blocks: what a client has not taken is kept in memory, up to a limit, and a client that is silent or sends too much is
disconnected. Main thread of the master only.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from ropewalk.logs.error_log import get_logger

MAX_CONNECTIONS = 64
"""On one listener: a few scrapers, browsers and operators. One more replaces the connection that was silent longest, so
that a few idle connections cannot keep health checks out."""

MAX_QUEUED_OCTETS = 32 * 1024 * 1024
"""Of responses that a client has not taken yet."""

READ_OCTETS = 16384

IDLE_SECONDS = 30.0
"""A connection on which nothing was sent or received for this long is closed; `ropewalk top` sends every second."""

PAUSE_SECONDS = 1.0
"""Without accepting, when there are no descriptors left."""

PEER_CREDENTIALS = struct.Struct("3i")
"""`struct ucred` of unix(7): process, user and group."""


class Handler(Protocol):
    """Understands what one client sends."""

    def receive(self, octets: bytes) -> None:
        """Handle what the client has sent; responses go to its connection, now or later."""


class ClientConnection:
    """One client's connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unsent = bytearray()
        self._is_closing = False
        self.last_active = time.monotonic()
        self.handler: Handler
        """Set right after creation."""

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def is_open(self) -> bool:
        return self._sock.fileno() >= 0

    @property
    def events(self) -> int:
        """The poll events to wait for."""
        return (0 if self._is_closing else select.POLLIN) | (select.POLLOUT if self._unsent else 0)

    def send(self, octets: bytes, *, is_last: bool = False) -> None:
        """Send, at once or when the client takes it; then close the connection if `is_last`."""
        if not self.is_open:
            return
        self._unsent += octets
        self._is_closing = self._is_closing or is_last
        if len(self._unsent) > MAX_QUEUED_OCTETS:
            self.close()
        else:
            self.flush()

    def flush(self) -> None:
        """Send what the client takes of what is queued."""
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
                self.last_active = time.monotonic()
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if self._is_closing:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
            self._discard_input()

    def on_event(self) -> None:
        """Send and receive what is possible."""
        self.last_active = time.monotonic()
        if self._unsent:
            self.flush()
        if not self.is_open or self._is_closing:
            return
        try:
            octets = self._sock.recv(READ_OCTETS)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if octets:
            self.handler.receive(octets)
        else:
            self.close()

    def _discard_input(self) -> None:
        # A socket that is closed with unread input resets the connection, and the client may lose the response.
        with suppress(OSError):
            while self._sock.recv(READ_OCTETS):
                pass
        self.close()

    def close(self) -> None:
        self._sock.close()


class ControlListener:
    """A listening socket and the connections that were accepted on it."""

    def __init__(
        self,
        listener: socket.socket,
        make_handler: Callable[[ClientConnection], Handler],
        *,
        is_own_user_only: bool = False,
    ) -> None:
        """`is_own_user_only`: serve only root and this process's user (on a Unix socket)."""
        self.listener = listener
        self._make_handler = make_handler
        self._is_own_user_only = is_own_user_only
        self._connections: list[ClientConnection] = []
        self.is_standby = False
        """Whether another process accepts on this socket."""
        self._accepts_from = 0.0
        """Monotonic; later than now while there is no descriptor left for a connection."""

    def pollable(self) -> Iterator[tuple[int, int]]:
        """File descriptors, with the poll events to wait for on each."""
        if not self.is_standby and time.monotonic() >= self._accepts_from:
            yield self.listener.fileno(), select.POLLIN
        for connection in self._connections:
            if connection.is_open:
                yield connection.fileno(), connection.events

    def handle_events(self, ready: set[int]) -> None:
        """Serve the connections that had an event, close those that were idle for too long, and accept."""
        idle_since = time.monotonic() - IDLE_SECONDS
        for connection in self._connections:
            if connection.is_open and connection.fileno() in ready:
                try:
                    connection.on_event()
                except Exception:  # noqa: BLE001 - an internal error here must not end the server
                    get_logger().exception("Internal error on a control connection")
                    connection.close()
            elif connection.last_active < idle_since:
                connection.close()
        self._connections = [connection for connection in self._connections if connection.is_open]
        if self.listener.fileno() in ready:
            self._accept()

    def seconds_until_due(self, now: float) -> float | None:
        """Seconds until a connection has been idle for too long, or accepting resumes; None if neither."""
        deadlines = [connection.last_active + IDLE_SECONDS for connection in self._connections]
        if self._accepts_from > now:
            deadlines.append(self._accepts_from)
        return max(0.0, min(deadlines) - now) if deadlines else None

    def _accept(self) -> None:
        try:
            sock, _ = self.listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._accepts_from = time.monotonic() + PAUSE_SECONDS  # or it would fail again at once, in a loop
            return  # else the client has gone again
        sock.setblocking(False)
        if self._is_own_user_only and not is_own_user(sock):
            sock.close()
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            idlest = min(self._connections, key=lambda connection: connection.last_active)
            idlest.close()
            self._connections.remove(idlest)
        connection = ClientConnection(sock)
        connection.handler = self._make_handler(connection)
        self._connections.append(connection)

    def close(self) -> None:
        """Close everything, in a forked child or at the end."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self.listener.close()


def is_own_user(sock: socket.socket) -> bool:
    """Whether the process at the other end of a Unix socket has this one's user, or is root's."""
    _, user, _ = PEER_CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size))
    return user in (0, os.geteuid())
