"""`wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling")."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

# The classes of files whose `read` returns what the descriptor has at the position of `tell`, and nothing else.
_PLAIN_FILES = (io.BufferedReader, io.BufferedRandom)


class FileWrapper:
    """Iterates over a file-like object in blocks.

    If the application returns one around a plain file, the server sends the range of the file by `os.sendfile` instead
    (`plain_range`).
    """

    def __init__(self, filelike: Any, block_size: int = 64 * 1024) -> None:
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.filelike.read(self.block_size)
        if not block:
            raise StopIteration
        return block


class PlainRange(NamedTuple):
    """What a plain file contains from its position to its end. The descriptor still belongs to the file."""

    fd: int
    offset: int
    length: int


def plain_range(filelike: Any) -> PlainRange | None:
    """Return the range that reading `filelike` to its end would return, or None if it is not a plain file.

    A wrapper may have a `fileno` and still return other bytes than its descriptor, as a decompressor does. So its
    `read` decides: it has to be that of a regular file, if only by way of a proxy such as Django's `File`. The position
    is that of the file, not of the descriptor, which read-ahead has moved on.
    """
    file: Any = getattr(getattr(filelike, "read", None), "__self__", None)
    if type(file) in _PLAIN_FILES:
        raw: Any = file.raw
    elif type(file) is io.FileIO:
        raw = file
    else:
        return None
    if type(raw) is not io.FileIO or file.closed:
        return None
    if type(file) is io.BufferedRandom:
        file.flush()
    status = os.fstat(raw.fileno())
    if not stat.S_ISREG(status.st_mode) or not status.st_size:  # what is in a file of /proc shows only when it is read
        return None
    offset = file.tell()
    return PlainRange(raw.fileno(), offset, max(0, status.st_size - offset))
