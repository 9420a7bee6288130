"""The part of epoll(7), poll(2) and eventfd(2) that the server uses, on `selectors`: kqueue, poll or select.

It behaves as the pool relies on: an item that is registered for one event is disarmed by it, and any thread may change
what is watched while another one waits, which wakes that thread. What is reported by level and not by edge is reported
again as long as it lasts: for a listening socket that is once more than needed; an eventfd is emptied here.
"""

from __future__ import annotations

import select
import selectors
import socket
import threading
from contextlib import suppress

EPOLLIN, EPOLLOUT, EPOLLRDHUP = 0x1, 0x4, 0x2000
EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLET = 1 << 28, 1 << 30, 1 << 31
POLLIN, POLLOUT, POLLERR, POLLHUP, POLLNVAL = 0x1, 0x4, 0x8, 0x10, 0x20

_WAKE = b"\0"

_eventfds: dict[int, tuple[socket.socket, socket.socket]] = {}
"""By the descriptor that can be read: both ends. Single operations only."""


def eventfd() -> int:
    """A descriptor that becomes readable by `eventfd_write`."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    _eventfds[reader.fileno()] = reader, writer
    return reader.fileno()


def eventfd_write(fd: int, _: int) -> None:
    with suppress(BlockingIOError):  # it is readable already
        _eventfds[fd][1].send(_WAKE)


def eventfd_read(fd: int) -> None:
    with suppress(BlockingIOError):
        while len(_eventfds[fd][0].recv(4096)) == 4096:
            pass


def close_eventfd(fd: int) -> None:
    for end in _eventfds.pop(fd):
        end.close()


class Epoll:
    """In place of `select.epoll`. One thread at a time calls `poll`, any thread the other methods."""

    def __init__(self) -> None:
        self.closed = False
        self._selector = selectors.DefaultSelector()  # used by the thread that polls
        self._wake_fd = eventfd()
        self._selector.register(self._wake_fd, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._watched: dict[int, int] = {}
        """Events by descriptor; none for an item that is disarmed. Under `_lock`, as is the next."""
        self._changed: set[int] = set()
        self._is_waiting = False  # under `_lock`

    def register(self, fd: int, events: int) -> None:
        """Watch `fd`. If it is watched already, it has been closed since, and is another file's now."""
        self._watch(fd, events)

    def modify(self, fd: int, events: int) -> None:
        """Raises FileNotFoundError if `fd` is not watched."""
        with self._lock:
            if fd not in self._watched:
                raise FileNotFoundError(fd)
        self._watch(fd, events)

    def unregister(self, fd: int) -> None:
        """Raises FileNotFoundError if `fd` is not watched."""
        with self._lock:
            if self._watched.pop(fd, None) is None:
                raise FileNotFoundError(fd)
            self._change(fd)

    def _watch(self, fd: int, events: int) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed epoll object")
        with self._lock:
            self._watched[fd] = events
            self._change(fd)

    def _change(self, fd: int) -> None:
        self._changed.add(fd)
        if self._is_waiting:
            eventfd_write(self._wake_fd, 1)

    def poll(self, timeout: float = -1.0, maxevents: int = -1) -> list[tuple[int, int]]:
        """The descriptors that are ready and their events; none, too, after a change by another thread."""
        self._apply_changes()
        try:
            ready = self._selector.select(None if timeout < 0 else timeout)
        except (OSError, ValueError):  # select: a descriptor has been closed
            self._drop_closed()
            ready = []
        found = []
        with self._lock:
            self._is_waiting = False
            for key, mask in ready:
                fd = key.fd
                if fd == self._wake_fd:
                    eventfd_read(fd)
                    continue
                wanted = self._watched.get(fd, 0)
                events = (EPOLLIN if mask & selectors.EVENT_READ else 0) | (
                    EPOLLOUT if mask & selectors.EVENT_WRITE else 0
                )
                if not events & wanted or fd in self._changed:
                    continue  # changed meanwhile: the next call reports it if it lasts
                if wanted & EPOLLONESHOT:
                    self._watched[fd] = 0
                    self._changed.add(fd)
                if fd in _eventfds:
                    eventfd_read(fd)
                found.append((fd, events & wanted))
        return found

    def close(self) -> None:
        """Close it and nothing that it watches."""
        if not self.closed:
            self.closed = True
            self._selector.close()
            close_eventfd(self._wake_fd)

    def _apply_changes(self) -> None:
        with self._lock:
            changed = {fd: self._watched.get(fd, 0) for fd in self._changed}
            self._changed.clear()
            self._is_waiting = True
        for fd, events in changed.items():
            with suppress(KeyError, OSError, ValueError):
                self._selector.unregister(fd)
            mask = (selectors.EVENT_READ if events & EPOLLIN else 0) | (
                selectors.EVENT_WRITE if events & EPOLLOUT else 0
            )
            if mask:
                with suppress(OSError, ValueError):  # closed meanwhile
                    self._selector.register(fd, mask)

    def _drop_closed(self) -> None:
        for fd in list(self._selector.get_map()):
            try:
                select.select([fd], [], [], 0)
            except (OSError, ValueError):
                with suppress(KeyError, OSError, ValueError):
                    self._selector.unregister(fd)


class Poll:
    """In place of `select.poll`, where there is none: for a few descriptors."""

    def __init__(self) -> None:
        self._watched: dict[int, int] = {}

    def register(self, fd: int, events: int) -> None:
        self._watched[fd] = events

    def unregister(self, fd: int) -> None:
        del self._watched[fd]

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """Those that are ready; `timeout` in milliseconds."""
        reading = [fd for fd, events in self._watched.items() if events & POLLIN]
        writing = [fd for fd, events in self._watched.items() if events & POLLOUT]
        seconds = None if timeout is None or timeout < 0 else timeout / 1000
        try:
            readable, writable, _ = select.select(reading, writing, [], seconds)
        except (OSError, ValueError):  # one of them is closed
            return [(fd, POLLNVAL) for fd in self._watched]
        return [(fd, POLLIN) for fd in readable] + [(fd, POLLOUT) for fd in writable]
