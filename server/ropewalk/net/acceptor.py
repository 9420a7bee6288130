"""A listening socket in the epoll: it accepts connections and hands them to whoever serves them.

The socket is shared with the other workers, so it is watched level-triggered and exclusively: one worker is woken for
one connection. One thread at a time polls, so one at a time accepts; the rest may come from others.

Without a descriptor left, accepting would fail at once for ever. So it pauses, and who waits stays in the backlog,
where the other workers find them: until a connection of this worker ends, which makes room, or for a second.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import threading
import time
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from ropewalk.observe.log import get_logger

log = get_logger()

LISTENING = select.EPOLLIN | select.EPOLLEXCLUSIVE
ACCEPT_BATCH = 64  # connections taken at an event, before those that are there already get their turn
PAUSE = 1.0  # seconds without accepting when there is no descriptor left, and none is seen to become free
LONE_PAUSE = 0.1  # the same when this worker has no connection that could end: it is not where the descriptors went

_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Accepts on one listening socket."""

    def __init__(
        self,
        sock: socket.socket,
        epoll: select.epoll,
        adopt: Callable[[socket.socket, Any, Acceptor], None],
        has_connections: Callable[[], bool],
        paused: set[Acceptor],
    ) -> None:
        """`adopt(sock, peer, acceptor)` takes each new connection, non-blocking.

        While this pauses it stands in `paused`, and `resume` is to be called behind each connection that ends.
        """
        self.sock = sock
        self.fd = sock.fileno()
        self._epoll = epoll
        self._adopt = adopt
        self._has_connections = has_connections
        self._paused = paused
        self._resume_at = inf  # written by who polls
        self._tell_at = 0.0  # likewise
        self._lock = threading.RLock()
        """Held while connections are accepted: what is taken is adopted, and so counted, before a drain goes on. One
        that is adopted may be closed at once, and that calls `resume`."""
        self._is_open = True  # under _lock; False: `fd` may be somebody else's by now
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # Linux hands it down to accepted sockets: an answer goes out at once, without a call for each connection.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self) -> bool:
        """Accept what waits."""
        with self._lock:
            try:
                for _ in range(ACCEPT_BATCH if self._is_open else 0):
                    self._accept()
            except BlockingIOError:
                pass
            except OSError as error:
                self._failed(error)
        return False

    def drain(self) -> None:
        """Accept all that waits in the backlog, then let go of the socket: with its last holder it refuses."""
        with self._lock:
            with contextlib.suppress(OSError):
                while self._is_open:
                    self._accept()
            self._let_go()

    def close(self) -> None:
        """Let go of the socket; the other workers have theirs."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._is_open:
            self._is_open = False
            self._paused.discard(self)
            self._watch_no_more()
            self.sock.close()

    def send(self) -> None:
        """A listening socket never has an answer."""
        raise RuntimeError("an acceptor has nothing to send")

    def check_deadline(self, now: float) -> None:
        """Called by the thread that polls: a pause is over at the latest after a while."""
        if self in self._paused and self._resume_at <= now:
            self.resume()

    def resume(self) -> None:
        """A descriptor may have become free: end a pause, if there is one. From any thread."""
        with self._lock, contextlib.suppress(OSError, ValueError):  # watched already
            self._paused.discard(self)
            if self._is_open:
                self._epoll.register(self.fd, LISTENING)

    def _accept(self) -> None:
        try:
            sock, peer = self.sock.accept()
        except ConnectionAbortedError:
            return  # gone while it waited
        sock.setblocking(False)
        self._adopt(sock, peer, self)

    def _failed(self, error: OSError) -> None:
        now = monotonic()
        if now >= self._tell_at:  # each connection that ends may lead here again
            self._tell_at = now + PAUSE
            log.error("cannot accept: %s", error.strerror)
        if error.errno not in _NO_DESCRIPTOR:
            return
        self._watch_no_more()
        self._resume_at = now + PAUSE
        self._paused.add(self)
        # Behind the addition: a last connection that ends now finds this in `paused`, or is found gone here.
        if not self._has_connections():
            # Nothing will end, nor is anything swept; and nobody but the backlog waits for this thread.
            time.sleep(LONE_PAUSE)
            self.resume()

    def _watch_no_more(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(self.fd)
