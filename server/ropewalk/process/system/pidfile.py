"""The file with the master's process id.

It is locked for as long as the master lives, and that is how a leftover file is recognised: the process id alone may
since belong to another process, especially in a container.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Collection

from ropewalk.errors import ConfigError
from ropewalk.trusted_files import open_file

SETTING = "--pid"


class PidFile:
    """A locked file that holds this process's id, until `remove`."""

    def __init__(self, path: str, owners: Collection[int] | None = None) -> None:
        """`owners` as in `open_file`. Raises ConfigError if the file cannot be written or another process holds it."""
        self._owners = owners
        self._path = os.path.abspath(path)
        self._owner = os.getpid()
        try:
            self._descriptor = self._open_locked()
            os.pwrite(self._descriptor, f"{self._owner}\n".encode(), 0)
            os.ftruncate(self._descriptor, len(f"{self._owner}\n"))
        except OSError as error:
            raise ConfigError(SETTING, path, f"cannot be written: {error.strerror}") from error

    def move(self, path: str) -> None:
        """Give the file another name. Raises ConfigError; it then keeps its old one."""
        other = PidFile(path, self._owners)
        self.remove()
        self._path, self._descriptor = other._path, other._descriptor

    def remove(self) -> None:
        """Remove the file; in a forked child, only close it."""
        if os.getpid() == self._owner:
            with contextlib.suppress(FileNotFoundError):
                if _is_same(self._path, self._descriptor):
                    os.unlink(self._path)
        os.close(self._descriptor)

    def close_in_child(self) -> None:
        """Close it in a forked child, so that the lock ends with the master."""
        os.close(self._descriptor)

    def _open_locked(self) -> int:
        while True:
            descriptor = open_file(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644, self._owners)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
                os.close(descriptor)
                raise ConfigError(SETTING, self._path, f"is held by a running server, process {holder}") from None
            # Its old owner may have removed it between open and lock: then the lock is on a file without a name.
            with contextlib.suppress(FileNotFoundError):
                if _is_same(self._path, descriptor):
                    return descriptor
            os.close(descriptor)


def _is_same(path: str, descriptor: int) -> bool:
    return os.path.samestat(os.stat(path), os.fstat(descriptor))
