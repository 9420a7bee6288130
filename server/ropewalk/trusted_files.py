"""Opening files as root in folders that other users can write to.

A master that runs as root and starts workers as another user (`--user`) opens log files, the pid file and Unix sockets
by their paths, often in a folder that this user can write to. A user who can write to a folder can replace a file there
by a symbolic link, or by a hard link to a file of root's; root would then create, append to or change the mode of a
file that somebody else chose. So as root a symbolic link is followed only if root made it, and a regular file is opened
only if it has one name and a trusted owner. What was inspected is what is opened: through its descriptor, not its path.

The folders above the file's own are not inspected: they must be writable by trusted users only.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection

from ropewalk.portable import fcntl

ROOT = 0

MAX_LINKS = 40
"""As the kernel has it (path_resolution(7))."""


STANDARD_STREAMS = {
    **{f"/dev/fd/{fd}": fd for fd in (1, 2)},
    **{f"/proc/self/fd/{fd}": fd for fd in (1, 2)},
    "/dev/stdout": 1,
    "/dev/stderr": 2,
}


def open_file(path: str, flags: int, mode: int, owners: Collection[int] | None = None) -> int:
    """As os.open. As root, refuses what another user than root and `owners` (user ids) can have put at `path`.

    With None for `owners` every user who can write to the folder is trusted. The name of a standard stream is a
    duplicate of that descriptor: a pipe or a socket there could not be opened by another user, a socket by nobody.
    Raises OSError, whose strerror names the reason.
    """
    if owners is None or os.geteuid() != ROOT:
        stream = _linked_stream(path)
        return _open(path, flags, mode) if stream is None else _duplicate(stream)
    for _ in range(MAX_LINKS):
        stream = _standard_stream(path)
        if stream is not None:
            return _duplicate(stream)
        try:
            held = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
            try:
                return os.open(path, flags | os.O_EXCL | os.O_NOFOLLOW, mode)
            except FileExistsError:
                continue  # it was created meanwhile: inspect that
        try:
            status = os.fstat(held)
            if not stat.S_ISLNK(status.st_mode):
                _check_owner(path, status, {ROOT, *owners})
                return _open(f"/proc/self/fd/{held}", flags & ~(os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW), mode)
            if status.st_uid != ROOT or status.st_nlink != 1:
                reason = f"is a symbolic link of user {status.st_uid}'s, which root does not follow"
                raise OSError(errno.ELOOP, reason, path)
            path = os.path.join(os.path.dirname(path), os.readlink("", dir_fd=held))
        finally:
            os.close(held)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _standard_stream(path: str) -> int | None:
    path = os.path.normpath(path)
    return STANDARD_STREAMS.get(path.replace(f"/proc/{os.getpid()}/", "/proc/self/"))


def _duplicate(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def _linked_stream(path: str) -> int | None:
    """The standard stream that `path` is, or leads to by links, as those of images of containers do."""
    for _ in range(MAX_LINKS):
        stream = _standard_stream(path)
        if stream is not None:
            return stream
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:
            break
    return None


def _open(path: str, flags: int, mode: int) -> int:
    """As os.open, but never waits for the reader of a pipe: the master would stop, and it may be planted there.

    Read and write access, with which Linux opens a pipe at once, lets a reader come and go.
    """
    try:
        is_pipe = stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        is_pipe = False
    if not is_pipe:
        return os.open(path, flags, mode)
    flags |= os.O_NONBLOCK
    try:
        return os.open(path, flags & ~os.O_ACCMODE | os.O_RDWR)
    except PermissionError:
        return os.open(path, flags)


def hold_socket(path: str) -> int:
    """An O_PATH descriptor of the Unix socket file at `path`, for which a symbolic link is no substitute.

    As root, it must be root's and have one name: a hard link to another server's socket is refused. Raises OSError.
    """
    held = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(held)
        is_own = os.geteuid() != ROOT or (status.st_uid, status.st_nlink) == (ROOT, 1)
        if not (stat.S_ISSOCK(status.st_mode) and is_own):
            raise OSError(errno.EPERM, "was replaced by another file", path)
    except BaseException:
        os.close(held)
        raise
    return held


def _check_owner(path: str, status: os.stat_result, owners: Collection[int]) -> None:
    if not stat.S_ISREG(status.st_mode):
        return  # a pipe or a device: nothing of root's is lost by writing to it
    if status.st_nlink > 1:
        raise OSError(errno.EPERM, f"has {status.st_nlink} names (hard links), which root does not write to", path)
    if status.st_uid not in owners:
        raise OSError(errno.EPERM, f"belongs to user {status.st_uid}, whom root does not write for", path)
