"""A listening socket in the epoll: it accepts connections and hands them to whoever serves them.

The socket is shared with the other workers, so it is watched level-triggered and exclusively: one worker is woken for
one connection. One thread at a time polls, so one at a time accepts; `drain` alone may come from another.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from ropewalk.observe.log import get_logger

log = get_logger()

LISTENING = select.EPOLLIN | select.EPOLLEXCLUSIVE
ACCEPT_BATCH = 64  # connections taken at an event, before those that are there already get their turn
PAUSE = 1.0  # seconds without accepting when there is no descriptor left

_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Accepts on one listening socket. `adopt(sock, peer, acceptor)` takes each new connection, non-blocking."""

    def __init__(
        self, sock: socket.socket, epoll: select.epoll, adopt: Callable[[socket.socket, Any, Acceptor], None]
    ) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self._epoll = epoll
        self._adopt = adopt
        self._resume_at = inf
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # Linux hands it down to accepted sockets: an answer goes out at once, without a call for each connection.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self) -> bool:
        """Accept what waits."""
        try:
            for _ in range(ACCEPT_BATCH):
                self._accept()
        except BlockingIOError:
            pass
        except OSError as error:
            self._failed(error)
        return False

    def drain(self) -> None:
        """Accept all that waits in the backlog, then watch the socket no more."""
        with contextlib.suppress(OSError):
            while True:
                self._accept()
        self.close()

    def close(self) -> None:
        """Watch the socket no more; it stays open for the other workers."""
        self._resume_at = inf
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(self.fd)

    def send(self) -> None:
        """A listening socket never has an answer."""
        raise RuntimeError("an acceptor has nothing to send")

    def check_deadline(self, now: float) -> None:
        """Resume accepting after a pause. Called by the thread that polls."""
        if self._resume_at <= now:
            self._resume_at = inf
            with contextlib.suppress(OSError):
                self._epoll.register(self.fd, LISTENING)

    def _accept(self) -> None:
        try:
            sock, peer = self.sock.accept()
        except ConnectionAbortedError:
            return  # gone while it waited
        sock.setblocking(False)
        self._adopt(sock, peer, self)

    def _failed(self, error: OSError) -> None:
        """Without a descriptor left, accepting would fail at once for ever: leave the backlog alone a while."""
        log.error("cannot accept: %s", error.strerror)
        if error.errno in _NO_DESCRIPTOR:
            with contextlib.suppress(OSError):
                self._epoll.unregister(self.fd)
            self._resume_at = monotonic() + PAUSE
