"""Opening the files of one directory by paths that a peer chose, and never a file outside of it.

A path is checked three times: its segments before it is opened (no `..`, no dot file), its kind by the open
descriptor (regular files only), and where the descriptor really leads (a symbolic link may not leave the
directory). The last two ask the descriptor and not the path again, so nothing can be changed in between.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import Final

__all__ = ["Directory", "File"]

# O_NONBLOCK: opening a FIFO must not wait for somebody to write into it. On regular files it means nothing.
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

_NOT_THERE: Final = frozenset(
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
"""Faults of the path. Any other one (no descriptor left, an input/output error) is the server's."""


@dataclass(frozen=True, slots=True)
class File:
    """An open regular file, as it was when it was opened. Whoever has it closes the descriptor."""

    descriptor: int
    size: int
    modified_ns: int

    @property
    def modified(self) -> int:
        """Whole seconds since the epoch."""
        return self.modified_ns // 1_000_000_000

    def close(self) -> None:
        os.close(self.descriptor)


class Directory:
    """A directory whose regular files may be given to anyone."""

    def __init__(self, path: str) -> None:
        """Raises OSError when there is no such directory, or no /proc to ask where a descriptor leads."""
        self._path = os.fsencode(os.path.abspath(path))
        descriptor = os.open(self._path, _FLAGS | os.O_DIRECTORY)
        try:
            # Written by any thread, and each writes what is true: links to it may be turned to a new release.
            self._real = _leads_to(descriptor)
        finally:
            os.close(descriptor)

    def open(self, path: bytes) -> File | None:
        """Open a file by its path below the directory, as in a URL after percent-decoding.

        None when there is none that may be given away. Raises OSError when the machine fails.
        """
        if not _is_clean(path):
            return None
        try:
            descriptor = os.open(os.path.join(self._path, path), _FLAGS)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and self._holds(_leads_to(descriptor)):
                file = File(descriptor, status.st_size, status.st_mtime_ns)
                descriptor = -1
                return file
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return None

    def has(self, path: bytes) -> bool:
        """Whether `open` is worth trying."""
        return _is_clean(path) and os.path.isfile(os.path.join(self._path, path))

    def _holds(self, real: bytes) -> bool:
        if _is_below(real, self._real):
            return True
        self._real = os.path.realpath(self._path)
        return _is_below(real, self._real)


def _is_clean(path: bytes) -> bool:
    """No empty segment, none that starts with a dot (`.` and `..` among them), no NUL."""
    return b"\0" not in path and all(part and not part.startswith(b".") for part in path.split(b"/"))


def _leads_to(descriptor: int) -> bytes:
    """The real path of an open file, links resolved; proc(5) adds " (deleted)" if it was replaced since."""
    return os.readlink(b"/proc/self/fd/%d" % descriptor)


def _is_below(real: bytes, directory: bytes) -> bool:
    return real.startswith(directory.rstrip(b"/") + b"/")
