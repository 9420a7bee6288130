"""Where the lines of a log go: a descriptor that is written so that lines stay whole and nobody waits for it.

*Whole lines.* Several workers write to the same file, pipe or socket. A file is opened for appending and each call
writes whole lines: the kernel then keeps writers apart. A pipe does so for `PIPE_BUF` octets alone (pipe(7)), a stream
socket for none; so there every writer first takes a lock on the descriptor's inode, which the kernel takes back from a
process that dies. That lock is the process's: its own threads and logs, which may share the inode too (`2>&1`,
systemd's journal), take a lock of the inode before it.

*Nobody waits.* A pipe is written while it has room. When nobody reads it any more, the first writer waits for
`PATIENCE` seconds and the next ones not at all, until there is room again.

Any thread may write. Nothing raises: what could not be written is told to the caller, who counts it.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIPE_BUF = select.PIPE_BUF

PATIENCE = 0.1
"""Seconds for a reader to make room, or for another writer to have done: far longer than either takes."""

LOCK_LOOK = 0.001
"""Seconds between two looks at a lock that another process holds."""

_TURNS: dict[tuple[int, int], threading.Lock] = {}
"""By device and inode, whose turn it is in this process. A child begins without: a fork may have left one locked."""
os.register_at_fork(after_in_child=_TURNS.clear)


class Sink:
    """Writes to `descriptor`, which stays the caller's to close."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.fault = ""
        """Why the last write failed."""
        mode, self._inode = _identity(descriptor)
        self.is_file = stat.S_ISREG(mode)
        """Whether a write never waits for a reader."""
        self._is_shared = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        self._is_torn = False
        """Half a line was written last: the next one begins with the end of it."""
        self._is_stalled = False
        """Nobody reads. Both are written by whoever writes; a stale look costs an empty line, or `PATIENCE`."""

    def write(self, lines: bytes) -> int:
        """Write whole lines; returns how many octets of them were written, all of them unless there is a fault."""
        if not lines:
            return 0
        end = b"\n" if self._is_torn else b""
        if self._is_shared:
            with self._exclusively():
                written = self._write_stream(end + lines)
        else:
            written = self._write_file(end + lines)
        if written:
            is_whole = written == len(end) + len(lines) or (end + lines)[written - 1 : written] == b"\n"
            self._is_torn = not is_whole
        return max(0, written - len(end))

    def _write_file(self, octets: bytes) -> int:
        written = 0
        with memoryview(octets) as rest:
            try:
                while written < len(octets):
                    written += os.write(self.descriptor, rest[written:])
            except OSError as error:
                self.fault = error.strerror or str(error)
        return written

    def _write_stream(self, octets: bytes) -> int:
        written = 0
        deadline = time.monotonic() + (0.0 if self._is_stalled else PATIENCE)
        poll = select.poll()
        poll.register(self.descriptor, select.POLLOUT)
        try:
            while written < len(octets):
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    self._is_stalled, self.fault = True, "nobody reads it"
                    return written
                with suppress(BlockingIOError):  # somebody else took the room
                    written += os.write(self.descriptor, octets[written : _piece_end(octets, written)])
                    self._is_stalled = False
        except OSError as error:
            self.fault = error.strerror or str(error)
        return written

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """Keep other threads and processes out; go on without that when they take too long."""
        turn = _TURNS.get(self._inode) or _TURNS.setdefault(self._inode, threading.Lock())
        patience = 0.0 if self._is_stalled else PATIENCE
        is_mine = turn.acquire(timeout=patience) if patience else turn.acquire(blocking=False)
        try:
            self._lock(time.monotonic() + patience)
            yield
        finally:
            if is_mine:
                with suppress(OSError):
                    fcntl.lockf(self.descriptor, fcntl.LOCK_UN)
                turn.release()

    def _lock(self, deadline: float) -> None:
        while True:
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return
                time.sleep(LOCK_LOOK)
            except OSError:  # a kind of descriptor that has no locks, or a closed one
                return
            else:
                return


def _identity(descriptor: int) -> tuple[int, tuple[int, int]]:
    """The mode, and what tells the inode from all others."""
    try:
        status = os.fstat(descriptor)
    except OSError:  # closed: what is written there is lost, and counted
        return 0, (0, 0)
    return status.st_mode, (status.st_dev, status.st_ino)


def _piece_end(octets: bytes, start: int) -> int:
    """Where a write from `start` should end: so that it goes into a pipe with room, and behind a line if it can."""
    if len(octets) - start <= PIPE_BUF:
        return len(octets)
    return octets.rfind(b"\n", start, start + PIPE_BUF) + 1 or start + PIPE_BUF
