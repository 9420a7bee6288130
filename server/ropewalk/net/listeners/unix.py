"""The file of a listening Unix socket: created safely, removed only by the process that created it.

A socket file outlives a server that was killed, and bind(2) refuses a path that exists. So a connection attempt finds
out whether a file may be replaced; what is not a socket is never touched.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from ropewalk.portable import fcntl
from ropewalk.trusted_files import hold_socket

__all__ = ["DEFAULT_MODE", "UnixListener", "open_unix_listener"]

NOBODY: Final = 0
"""No process has this id."""

LOCK_TIMEOUT: Final = 2.0
"""Seconds to wait for another server that is starting; it holds the lock for a few system calls."""

DEFAULT_MODE: Final = 0o666
"""Connecting needs write permission, and the proxy usually runs as another user. gunicorn's umask of 0 has the same
effect; to restrict it, set a mode or put the socket into a directory of its own."""


@contextmanager
def _held(path: str) -> Iterator[tuple[os.stat_result, str]]:
    """What the file of a socket is, and a path by which no other file is met although somebody may replace it."""
    if not hasattr(os, "O_PATH"):  # macOS
        yield os.lstat(path), path
        return
    held = hold_socket(path)
    try:
        yield os.fstat(held), f"/proc/self/fd/{held}"
    finally:
        os.close(held)


class UnixListener(socket.socket):
    """A listening Unix socket that knows the file it created."""

    path: str
    """The absolute path (the working directory may change later). Set once, before the object is returned."""
    _inode: tuple[int, int]
    _maker: int

    @classmethod
    def bind_to(cls, path: str, mode: int) -> UnixListener:
        """Return a bound, non-blocking socket that does not listen yet: no connection precedes the file's mode.

        Raises OSError.
        """
        listener = cls(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.setblocking(False)
            with suppress(OSError):  # macOS
                os.fchmod(listener.fileno(), mode)  # bind(2) creates the file with this mode minus the umask
            listener.bind(path)
            with _held(path) as (status, held):
                listener.path = os.path.abspath(path)
                listener._inode = (status.st_dev, status.st_ino)
                listener._maker = os.getpid()
                if stat.S_IMODE(status.st_mode) != mode:
                    os.chmod(held, mode)
        except BaseException:
            if hasattr(listener, "_maker"):
                listener.unlink()
            listener.close()
            raise
        return listener

    @classmethod
    def adopt(cls, sock: socket.socket) -> UnixListener:
        """Take over a listening socket that another process made, and its file. Raises OSError."""
        path = os.path.abspath(sock.getsockname())
        status = os.lstat(path)
        listener = cls(fileno=sock.detach())
        listener.path = path
        listener._inode = (status.st_dev, status.st_ino)
        listener._maker = os.getpid()
        return listener

    def move(self, path: str) -> None:
        """Rename the file, replacing whatever has that name. Raises OSError."""
        os.rename(self.path, path)
        self.path = os.path.abspath(path)

    def disown(self) -> None:
        """Leave the file to another process: `unlink` does nothing any more."""
        self._maker = NOBODY

    def unlink(self) -> None:
        """Remove the file, if this process created it and it is still the same file.

        To be called while the socket is open: an open socket keeps its inode from being reused, so the file of another
        server cannot be mistaken for this one. Does not raise when the file cannot be removed: the next start replaces
        it.
        """
        if os.getpid() != self._maker:
            return
        with suppress(OSError):
            status = os.lstat(self.path)
            if (status.st_dev, status.st_ino) == self._inode:
                os.unlink(self.path)
        self._maker = NOBODY


def open_unix_listener(path: str, *, backlog: int, mode: int = DEFAULT_MODE) -> UnixListener:
    """Listen at `path`, replacing the file of a socket on which nobody listens any more.

    Raises OSError: EADDRINUSE when a server listens there, EEXIST when the file is not a socket.
    """
    with _locked(os.path.dirname(path) or "."):
        _remove_stale(path)
        listener = UnixListener.bind_to(path, mode)
        try:
            listener.listen(backlog)
        except BaseException:
            listener.unlink()
            listener.close()
            raise
    return listener


def _remove_stale(path: str) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    if _has_listener(path):
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)
    os.unlink(path)


def _has_listener(path: str) -> bool:
    """Whether a process listens on the socket file; raises OSError when that cannot be determined."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError as error:
            # EAGAIN: its backlog is full. EPROTOTYPE: a datagram socket is bound there. Both are in use.
            if error.errno not in (errno.EAGAIN, errno.EPROTOTYPE):
                raise
    return True


@contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Hold the directory's lock, so that of two servers that start at the same time neither removes the file that
    the other has bound and does not listen on yet.

    A directory that cannot be locked (no permission to read it, a lock of another program) is used without the lock,
    which closes a window of microseconds: that is no reason to fail.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        yield
        return
    try:
        _wait_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _wait_lock(descriptor: int) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return None
        except OSError:  # a file system without locks
            return None
        time.sleep(0.005)
