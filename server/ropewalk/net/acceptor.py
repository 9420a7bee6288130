"""A listening socket in the epoll: it accepts connections and hands them to whoever serves them.

The socket is shared with the other workers, so it is watched exclusively: one worker is woken for one connection. If
another has fewer (`net.accept_balance`), it leaves the connection to the others and rings for them; after a moment it
looks again, and no longer cares for those who did not come. So that it may leave it, the socket is watched
edge-triggered: each connection that comes is told once, and who is told has to accept all that waits, or to look again.

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
from collections.abc import Callable, Iterable
from math import inf
from time import monotonic
from typing import Any

from ropewalk.logs.error_log import get_logger
from ropewalk.net.accept_balance import DEFER_TIMEOUT, WorkerSlot

log = get_logger()

LISTENING = select.EPOLLIN | select.EPOLLEXCLUSIVE | select.EPOLLET
ACCEPT_BATCH = 64  # connections taken at an event, before those that are there already get their turn
WAKE_INTERVAL = 0.001  # seconds between two calls for other workers
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
        call_in: Callable[[float, Callable[[], None]], None],
    ) -> None:
        """`adopt(sock, peer, acceptor)` takes each new connection, non-blocking.

        `call_in(seconds, what)` has `what` called by the thread that polls.

        While this pauses it stands in `paused`, and `resume` is to be called behind each connection that ends.
        """
        self.sock = sock
        self.fd = sock.fileno()
        self._epoll = epoll
        self._adopt = adopt
        self._has_connections = has_connections
        self._paused = paused
        self._call_in = call_in
        self.slot: WorkerSlot | None = None  # set before it is watched, where there may be other workers
        self._waiting = select.poll()
        self._waiting.register(self.fd, select.POLLIN)
        self._left_at = -inf  # monotonic: when connections were left to others last; under _lock, as the next
        self._look_at = inf  # monotonic: when to look again, where a call has been asked for
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
        """Accept what waits, or leave it to others."""
        with self._lock:
            if self._is_open:
                self._accept_mine()
        return False

    def _accept_mine(self) -> None:
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
            self._look_in(0.0)  # those that are there already get their turn
        except BlockingIOError:
            pass
        except OSError as error:
            self._failed(error)

    def _leave_to_others(self, slot: WorkerSlot) -> None:
        if not self._waiting.poll(0):
            return  # nothing is there, or others were quicker
        now = monotonic()
        if now - self._left_at > WAKE_INTERVAL and self not in self._paused:
            self._left_at = now
            with contextlib.suppress(OSError):
                # To the end of the kernel's queue, or the next connection comes here first again. This one is told
                # again at once, hence `WAKE_INTERVAL`; a woken worker takes all of its share, also what
                # arrives meanwhile.
                self._epoll.unregister(self.fd)
                self._epoll.register(self.fd, LISTENING)
            slot.wake_others()
        self._look_in(DEFER_TIMEOUT)

    def _look_in(self, seconds: float) -> None:
        is_asked = self._look_at < inf
        self._look_at = monotonic() + seconds
        if not is_asked:
            self._call_in(seconds, self._look_again)

    def _look_again(self) -> None:
        """Take what nobody took meanwhile, unless there is somebody else yet to hope for."""
        with self._lock:
            rest = self._look_at - monotonic()
            if not self._is_open:
                return
            if rest > 0:  # it was put off
                self._call_in(rest, self._look_again)
                return
            self._look_at = inf
            if self.slot is not None:
                self.slot.mark_unresponsive()
            self._accept_mine()

    def drain(self) -> None:
        """Accept all that waits in the backlog, then let go of the socket: with its last holder it refuses."""
        with self._lock:
            if self._is_open:
                self._watch_no_more()  # first: of a connection behind that the kernel tells another worker
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
            if self.slot is not None:
                self.slot.withdraw()
            self._paused.discard(self)
            self._watch_no_more()
            self.sock.close()

    def send(self) -> None:
        """A listening socket never has an answer."""
        raise RuntimeError("an acceptor has nothing to send")

    def check_deadline(self, now: float) -> None:
        """Called by the thread that polls: a pause is over at the latest after a while.

        And a connection is looked for of which the kernel told a worker that is dead or stuck.
        """
        if self in self._paused:
            if self._resume_at <= now:
                self.resume()
        elif self._is_open and self._waiting.poll(0):
            self.receive()

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
            self._look_in(PAUSE)
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
        """It never has an answer."""
        raise RuntimeError("a bell has nothing to send")

    def check_deadline(self, now: float) -> None:
        """It has none."""

    def close(self) -> None:
        """It belongs to `SharedCounts`."""
