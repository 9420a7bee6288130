"""The descriptor of a log, written so that lines stay whole and no writer blocks.

*Whole lines.* Several workers write to the same file, pipe or socket. Files are opened for appending and every call
writes whole lines, so the kernel keeps writers apart. A pipe guarantees that only up to `PIPE_BUF` bytes (pipe(7)), and
a stream socket not at all. For these, every writer first locks the descriptor's inode; the kernel releases that lock if
the process dies. The lock belongs to the process, so its threads and logs, which may share the inode (`2>&1`, systemd's
journal), take a lock of this process before it. While they hold the two, they are not interrupted.

*No writer blocks.* A pipe is written while it has room. When its reader has stopped, the first writer waits
`WRITE_TIMEOUT` seconds and the following ones not at all, until there is room again.

Any thread may write. Nothing raises: the caller learns how much was written and counts the rest.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from contextlib import suppress

from ropewalk.interruptions import uninterrupted
from ropewalk.portable import PIPE_BUF, POLLOUT, Poll, fcntl, register_at_fork

_Poll = Poll
"""Kept: code of the application may patch the module, and the log says that it is refused."""

WRITE_TIMEOUT = 0.1
"""Seconds for a reader to make room, or for another process to finish: far longer than either takes."""

LOCK_INTERVAL = 0.001
"""Seconds between two attempts to take a lock that another process holds."""

_LOCKS: dict[tuple[int, int], threading.Lock] = {}
"""The locks of this process, by device and inode. A forked child starts without: it may have inherited a held one."""
register_at_fork(after_in_child=_LOCKS.clear)


class Sink:
    """Writes to `descriptor`, which the caller closes."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.fault = ""
        """Why the last write failed."""
        mode, self._inode = _identity(descriptor)
        self.is_file = stat.S_ISREG(mode)
        """Whether writing needs no reader."""
        self._is_shared = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        self._is_line_open = False
        """Whether the last write ended inside a line; the next one then begins with a line end."""
        self._is_stalled = False
        """Whether the reader has stopped. Any writer sets both; a stale value costs an empty line, or a timeout."""

    def write(self, lines: bytes) -> int:
        """Write whole lines; returns how many of the bytes were written: all of them, unless there is a fault."""
        if not lines:
            return 0
        with uninterrupted:
            return self._write(lines)

    def _write(self, lines: bytes) -> int:
        end = b"\n" if self._is_line_open else b""
        written = self._write_locked(end + lines) if self._is_shared else self._write_file(end + lines)
        if written:
            is_whole = written == len(end) + len(lines) or (end + lines)[written - 1 : written] == b"\n"
            self._is_line_open = not is_whole
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
        deadline = time.monotonic() + (0.0 if self._is_stalled else WRITE_TIMEOUT)
        poll = _Poll()
        poll.register(self.descriptor, POLLOUT)
        try:
            while written < len(octets):
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    self._is_stalled, self.fault = True, "the reader has stopped"
                    return written
                with suppress(BlockingIOError):  # another writer took the room
                    written += os.write(self.descriptor, octets[written : _piece_end(octets, written)])
                    self._is_stalled = False
        except OSError as error:
            self.fault = error.strerror or str(error)
        return written

    def _write_locked(self, octets: bytes) -> int:
        """Exclude other threads, and other processes unless they take too long."""
        with _LOCKS.get(self._inode) or _LOCKS.setdefault(self._inode, threading.Lock()):
            if fcntl is None:  # Windows, where nobody shares it
                return self._write_stream(octets)
            self._lock_inode(time.monotonic() + (0.0 if self._is_stalled else WRITE_TIMEOUT))
            try:
                return self._write_stream(octets)
            finally:
                with suppress(OSError):
                    fcntl.lockf(self.descriptor, fcntl.LOCK_UN)

    def _lock_inode(self, deadline: float) -> None:
        while True:
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return
                time.sleep(LOCK_INTERVAL)
            except OSError:  # closed, or of a type that has no locks
                return
            else:
                return


def _identity(descriptor: int) -> tuple[int, tuple[int, int]]:
    """The file mode, and device and inode."""
    try:
        status = os.fstat(descriptor)
    except OSError:  # closed: writing will fail, and is counted then
        return 0, (0, 0)
    return status.st_mode, (status.st_dev, status.st_ino)


def _piece_end(octets: bytes, start: int) -> int:
    """Where a write from `start` should end: it fits into a pipe that has room, and ends after a line if possible."""
    if len(octets) - start <= PIPE_BUF:
        return len(octets)
    return octets.rfind(b"\n", start, start + PIPE_BUF) + 1 or start + PIPE_BUF
