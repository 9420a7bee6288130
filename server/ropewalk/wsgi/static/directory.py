"""Opening files of one directory by paths that a client chooses, and never a file outside of it.

Three things are checked: the segments of the path before it is opened (no `..`, no dot file), the kind of the open file
(regular files only), and its real path (a symbolic link may not leave the directory). The last two use the descriptor
and not the path, so nothing can be changed in between.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from ropewalk.portable import O_CLOEXEC, O_DIRECTORY, O_NOCTTY, O_NONBLOCK, fcntl

__all__ = ["Directory", "Entry", "File"]

# O_NONBLOCK: opening a FIFO must not wait for a writer. It has no effect on regular files.
_FLAGS: Final = os.O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY

_NOT_FOUND: Final = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EACCES,
        errno.EPERM,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENXIO,  # a Unix socket
        errno.ENODEV,
    }
)
"""Errors of the path. Any other error (no descriptor free, an I/O error) is the server's."""


@dataclass(frozen=True, slots=True)
class File:
    """An open regular file, as it was when it was opened. The caller of `Directory.open` closes it."""

    descriptor: int
    size: int
    modified_ns: int

    @property
    def modified(self) -> int:
        """Whole seconds since the epoch."""
        return self.modified_ns // 1_000_000_000

    def close(self) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a directory contains under a name."""

    name: bytes
    is_directory: bool
    size: int
    modified: int
    """Seconds since the epoch."""


class Directory:
    """A directory whose regular files are public."""

    def __init__(self, path: str) -> None:
        """Raises OSError if there is no such directory, or no /proc, which has the real path of a descriptor."""
        self._path = os.fsencode(os.path.abspath(path))
        descriptor = os.open(self._path, _FLAGS | O_DIRECTORY)
        try:
            # Written by any thread, always with the current path: a link to it may be changed to a new release.
            self._real = _real_path(descriptor)
        finally:
            os.close(descriptor)

    def open(self, path: bytes) -> File | None:
        """Open a file by its path below the directory, as in a URL after percent-decoding.

        None if there is no public file of that path. Raises OSError for an error that is not the path's.
        """
        if not _is_clean(path):
            return None
        try:
            descriptor = os.open(os.path.join(self._path, path), _FLAGS)
        except OSError as error:
            if error.errno in _NOT_FOUND:
                return None
            raise
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and self._contains(_real_path(descriptor)):
                file = File(descriptor, status.st_size, status.st_mtime_ns)
                descriptor = -1
                return file
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return None

    def entries(self, path: bytes) -> list[Entry] | None:
        """What is public in the directory of this path, which is empty or ends with a slash; in the order of the names.

        None if there is no such directory. Raises OSError for an error that is not the path's.
        """
        if path and not (path.endswith(b"/") and _is_clean(path[:-1])):
            return None
        try:
            descriptor = os.open(os.path.join(self._path, path), _FLAGS | O_DIRECTORY)
        except OSError as error:
            if error.errno in _NOT_FOUND:
                return None
            raise
        try:
            if path and not self._contains(_real_path(descriptor)):
                return None
            return sorted(self._entries(path, descriptor), key=lambda entry: entry.name)
        finally:
            os.close(descriptor)

    def _entries(self, path: bytes, descriptor: int) -> Iterator[Entry]:
        for name in map(os.fsencode, os.listdir(descriptor)):
            if name.startswith(b"."):
                continue
            if file := self.open(path + name):
                yield Entry(name, False, file.size, file.modified)
                file.close()
                continue
            place = os.path.join(self._path, path, name)
            with suppress(OSError):  # it has just gone
                status = os.stat(place)
                if stat.S_ISDIR(status.st_mode) and self._contains(os.path.realpath(place)):
                    yield Entry(name, True, 0, int(status.st_mtime))

    def has(self, path: bytes) -> bool:
        """Whether there seems to be such a file; only `open` can tell for certain."""
        return _is_clean(path) and os.path.isfile(os.path.join(self._path, path))

    def _contains(self, real: bytes) -> bool:
        if _is_below(real, self._real):
            return True
        self._real = os.path.realpath(self._path)
        return _is_below(real, self._real)


def _is_clean(path: bytes) -> bool:
    """No empty segment, none that starts with a dot (`.` and `..` among them), no NUL."""
    return b"\0" not in path and all(part and not part.startswith(b".") for part in path.split(b"/"))


def _real_path(descriptor: int) -> bytes:
    """The real path of an open file, without links; proc(5) appends " (deleted)" if it has been replaced."""
    command = getattr(fcntl, "F_GETPATH", None)
    if command is not None:  # macOS
        path: bytes = fcntl.fcntl(descriptor, command, bytes(1024))
        return path.rstrip(b"\0")
    return os.readlink(b"/proc/self/fd/%d" % descriptor)


def _is_below(real: bytes, directory: bytes) -> bool:
    return real.startswith(directory.rstrip(b"/") + b"/")
