"""A listening socket in the epoll: it accepts connections and passes them to the service.

The workers share the socket, so each watches it exclusively: one worker is woken for one connection. If another worker
has fewer connections (`net.accept_balance`), this one leaves the connection to the others and wakes them; a moment
later it looks again, and no longer defers to those that did not look. To be able to leave a connection, it watches the
socket edge-triggered: the kernel reports each new connection once, and the worker it is reported to has to accept
everything that waits, or to look again.

When no file descriptor is free, every accept would fail at once. So the acceptor asks for an idle connection to be
closed and pauses, and connections stay in the backlog, where the other workers find them, until a connection of this
worker is closed, which frees one, or for a second.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Callable, Iterable
from math import inf
from time import monotonic
from typing import Any

from ropewalk.logs.error_log import get_logger
from ropewalk.net.accept_balance import DEFER_TIMEOUT, WorkerSlot
from ropewalk.portable import EPOLLET, EPOLLEXCLUSIVE, EPOLLIN, POLLIN, Epoll, Poll

log = get_logger()

LISTENING = EPOLLIN | EPOLLEXCLUSIVE | EPOLLET
ACCEPT_BATCH = 64  # connections accepted at a time; then those that are open already get their turn
WAKE_INTERVAL = 0.001  # seconds between two wake-ups of the other workers
PAUSE = 1.0  # seconds without accepting when no descriptor is free, unless one is seen to become free
LONE_PAUSE = 0.1  # the same when this worker has no connection that could be closed: others use up the descriptors

_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Accepts on one listening socket."""

    def __init__(
        self,
        sock: socket.socket,
        epoll: Epoll,
        on_accepted: Callable[[socket.socket, Any, Acceptor], None],
        has_connections: Callable[[], bool],
        paused: set[Acceptor],
        call_later: Callable[[float, Callable[[], None]], None],
        make_room: Callable[[], bool],
    ) -> None:
        """`on_accepted(sock, peer, acceptor)` takes each new connection, which does not block.

        `call_later(seconds, callback)` has the polling thread call `callback`. `make_room()` has a connection closed
        that is idle, if there is one, because no descriptor is free.

        While it pauses, the acceptor is in `paused`; call `resume` whenever a connection is closed then.
        """
        self.sock = sock
        self.fd = sock.fileno()
        self._epoll = epoll
        self._on_accepted = on_accepted
        self._has_connections = has_connections
        self._paused = paused
        self._call_later = call_later
        self._make_room = make_room
        self.slot: WorkerSlot | None = None  # set before the socket is watched, where there may be other workers
        self._poll = Poll()  # under _lock: it raises if two threads call it at the same moment
        self._poll.register(self.fd, POLLIN)
        self._woken_at = -inf  # monotonic: when the others were last woken; under _lock, as is the next
        self._retry_at = inf  # monotonic: when to look again; inf: no call is scheduled
        self._resume_at = inf  # monotonic; under _lock, as is the next; also read by the polling thread
        self._log_after = 0.0
        self._lock = threading.RLock()
        """Held while connections are accepted: an accepted one is taken, and so counted, before a drain continues.
        Reentrant, because a connection may be closed as soon as it is taken, which calls `resume`."""
        self._is_open = True  # under _lock; False: `fd` may be another file's by now
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # Linux passes it on to accepted sockets: responses are sent at once, without a call for each connection.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self) -> bool:
        """Accept what waits, or leave it to the other workers."""
        with self._lock:
            if self._is_open:
                self._accept_share()
        return False

    def _accept_share(self) -> None:
        slot = self.slot
        if slot is not None:
            slot.heartbeat()
        try:
            for _ in range(ACCEPT_BATCH):
                if slot is not None and not slot.should_accept():
                    self._leave_to_others(slot)
                    return
                self._accept()
                if slot is not None:
                    slot.count_accepted()
            self._retry_in(0.0)  # first those that are open already
        except BlockingIOError:
            pass
        except OSError as error:
            self._handle_failure(error)
        except Exception:  # a worker that no longer accepts would be of no use, and look healthy
            if self._may_log(monotonic()):
                log.exception("internal error while accepting")
            self._retry_in(PAUSE)

    def _leave_to_others(self, slot: WorkerSlot) -> None:
        if not self._poll.poll(0):
            return  # nothing waits, or others were quicker
        now = monotonic()
        if now - self._woken_at > WAKE_INTERVAL and self not in self._paused:
            self._woken_at = now
            with contextlib.suppress(OSError):
                # Move to the end of the kernel's queue, or the next connection comes here first again. The kernel then
                # reports this one again at once, hence WAKE_INTERVAL; a woken worker takes all of its share, including
                # what arrives meanwhile.
                self._epoll.unregister(self.fd)
                self._epoll.register(self.fd, LISTENING)
            slot.wake_others()
        self._retry_in(DEFER_TIMEOUT)

    def _retry_in(self, seconds: float) -> None:
        is_scheduled = self._retry_at < inf
        self._retry_at = monotonic() + seconds
        if not is_scheduled:
            self._call_later(seconds, self._retry)

    def _retry(self) -> None:
        """Accept what nobody else has, unless another worker that responds has fewer connections."""
        with self._lock:
            remaining = self._retry_at - monotonic()
            if not self._is_open:
                return
            if remaining > 0:  # it was put off
                self._call_later(remaining, self._retry)
                return
            self._retry_at = inf
            if self.slot is not None:
                self.slot.mark_unresponsive()
            self._accept_share()

    def drain(self) -> None:
        """Accept everything in the backlog, then close the socket; it refuses connections once all workers have."""
        with self._lock:
            if self._is_open:
                self._unwatch()  # first: then the kernel reports later connections to another worker
            with contextlib.suppress(OSError):
                while self._is_open:
                    self._accept()
            self._close()

    def close(self) -> None:
        """Close the socket; the other workers have their own."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            if self.slot is not None:
                self.slot.withdraw()
            self._paused.discard(self)
            self._unwatch()
            self.sock.close()

    def send(self) -> None:
        """Never called: a listening socket sends nothing."""
        raise RuntimeError("an acceptor has nothing to send")

    def check_deadline(self, now: float) -> None:
        """End a pause that has lasted long enough. Called by the polling thread.

        Also accepts a connection that the kernel reported to a worker that is dead or stuck.
        """
        if self in self._paused:
            if self._resume_at <= now:
                self.resume()
        elif self._lock.acquire(blocking=False):  # otherwise a thread is accepting; and `_poll` is for one at a time
            try:
                if self._is_open and self._poll.poll(0):
                    self._accept_share()
            finally:
                self._lock.release()

    def resume(self) -> None:
        """End a pause, if there is one: a descriptor may have become free. From any thread."""
        with self._lock, contextlib.suppress(OSError, ValueError):  # it is watched already
            self._paused.discard(self)
            if self._is_open:
                self._epoll.register(self.fd, LISTENING)

    def _accept(self) -> None:
        try:
            sock, peer = self.sock.accept()
        except ConnectionAbortedError:
            return  # the peer left while it waited
        try:
            sock.setblocking(False)
            self._on_accepted(sock, peer, self)
        except BaseException:
            sock.close()
            raise

    def _handle_failure(self, error: OSError) -> None:
        now = monotonic()
        if error.errno not in _NO_DESCRIPTOR:
            self._report(error, now)
            self._retry_in(PAUSE)
            return
        if not self._poll.poll(0):
            return  # without a free descriptor, `accept` fails even if nothing waits
        self._unwatch()
        self._resume_at = now + PAUSE
        self._paused.add(self)
        # After the addition: a connection that is closed now finds this in `paused`, or is found closed here.
        if self._make_room():
            return
        self._report(error, now)
        if not self._has_connections():
            # No connection will be closed, and no deadline checked; and only the backlog waits for this thread.
            time.sleep(LONE_PAUSE)
            self.resume()

    def _report(self, error: OSError, now: float) -> None:
        if self._may_log(now):
            log.error("cannot accept: %s", error.strerror)

    def _may_log(self, now: float) -> bool:
        """Whether the last line is long enough ago: each connection that is opened or closed may lead here again."""
        if now < self._log_after:
            return False
        self._log_after = now + PAUSE
        return True

    def _unwatch(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(self.fd)


class WakeListener:
    """In the epoll of each worker that balances its accepting: another worker left a connection for this one."""

    def __init__(self, acceptors: Iterable[Acceptor]) -> None:
        self._acceptors = tuple(acceptors)

    def receive(self) -> bool:
        """Look at every listening socket."""
        for acceptor in self._acceptors:
            acceptor.receive()
        return False

    def send(self) -> None:
        """Never called: it sends nothing."""
        raise RuntimeError("a wake listener has nothing to send")

    def check_deadline(self, now: float) -> None:
        """Do nothing: it has no deadline."""

    def close(self) -> None:
        """Do nothing: the descriptor belongs to `SharedCounts`."""
