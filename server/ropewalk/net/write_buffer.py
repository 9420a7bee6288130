"""Octets and file ranges that are still to be sent on one connection, in order.

Not thread-safe: only the connection's holder uses it, or the lock of a streamed response guards it.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from ropewalk.net.tls import TlsSocket

# What waits in memory for a slow peer before the rest goes to a temporary file: one response of the usual size.
MAX_MEMORY = 1024 * 1024

# Octets sent at a time: a peer that reads as fast as we send must not occupy a thread for all of a large file.
MAX_FLUSH = 1024 * 1024
MAX_SENDFILE = MAX_FLUSH

# sendmsg takes up to IOV_MAX (1024) parts; a few dozen already fill a socket's buffer.
MAX_PARTS = 64


class FileTruncatedError(OSError):
    """A file became shorter while it was sent."""


class FileRange:
    """`count` octets of the open file `fd` from `offset`; the write buffer closes `fd` once they are sent."""

    __slots__ = ("count", "fd", "offset")

    def __init__(self, fd: int, offset: int, count: int) -> None:
        self.fd = fd
        self.offset = offset
        self.count = count


class WriteBuffer:
    """A queue of octets and file ranges; `octets` counts what remains."""

    __slots__ = ("_memory", "_parts", "_spill", "_spill_end", "octets")

    def __init__(self) -> None:
        self._parts: deque[memoryview | FileRange] = deque()
        self._memory = 0  # octets of the parts in memory
        self._spill: IO[bytes] | None = None
        self._spill_end = 0
        self.octets = 0

    def append(self, content: bytes | memoryview) -> None:
        """Queue `content`. Raises `OSError` when it has to go to a temporary file that cannot take it."""
        if not content:
            return
        self.octets += len(content)
        if self._memory + len(content) <= MAX_MEMORY or not self._memory:
            self._memory += len(content)
            self._parts.append(memoryview(content))
        else:
            self._append_spilled(content)

    def _append_spilled(self, content: bytes | memoryview) -> None:
        if self._spill is None:
            import tempfile  # imports shutil and its codecs: only for the first peer that reads too slowly

            self._spill = tempfile.TemporaryFile(prefix="ropewalk-", buffering=0)  # noqa: SIM115 - closed by `close`
        fd = self._spill.fileno()
        start = self._spill_end
        rest = memoryview(content)
        while rest:
            written = os.pwrite(fd, rest, self._spill_end)
            self._spill_end += written
            rest = rest[written:]
        last = self._parts[-1] if self._parts else None
        if isinstance(last, FileRange) and last.fd == fd and last.offset + last.count == start:
            last.count += len(content)
        else:
            self._parts.append(FileRange(fd, start, len(content)))

    def append_file(self, fd: int, offset: int, count: int) -> None:
        """Queue `count` octets of `fd`, which the write buffer owns from here on."""
        self.octets += count
        self._parts.append(FileRange(fd, offset, count))

    def flush(self, sock: socket.socket | TlsSocket) -> int:
        """Send what the socket takes now, about `MAX_FLUSH` at most; return the number of octets sent.

        Raises `OSError` when the peer is gone, `FileTruncatedError` when a file has become shorter than its range.
        """
        sent = 0
        try:
            while self._parts and sent < MAX_FLUSH:
                part = self._parts[0]
                sent += self._send_file(sock, part) if isinstance(part, FileRange) else self._send_memory(sock)
        except BlockingIOError:
            pass
        return sent

    def _send_memory(self, sock: socket.socket | TlsSocket) -> int:
        batch: list[memoryview] = []
        for part in self._parts:
            if isinstance(part, FileRange) or len(batch) == MAX_PARTS:
                break
            batch.append(part)
        sent = sock.sendmsg(batch) if len(batch) > 1 else sock.send(batch[0])
        self._drop_sent(sent)
        return sent

    def _drop_sent(self, sent: int) -> None:
        self.octets -= sent
        self._memory -= sent
        while sent:
            part = self._parts[0]
            assert isinstance(part, memoryview)
            if sent < len(part):
                self._parts[0] = part[sent:]
                return
            sent -= len(part)
            self._parts.popleft()

    def _send_file(self, sock: socket.socket | TlsSocket, part: FileRange) -> int:
        count = min(part.count, MAX_SENDFILE)
        sent = _send_file(sock, part.fd, part.offset, count)
        if not sent and count:
            raise FileTruncatedError(f"a file became {part.count} octets shorter while it was sent")
        part.offset += sent
        part.count -= sent
        self.octets -= sent
        if not part.count:
            self._parts.popleft()
            self._release(part)
        return sent

    def _release(self, part: FileRange) -> None:
        if self._spill is None or part.fd != self._spill.fileno():
            os.close(part.fd)

    def close(self) -> None:
        """Drop everything, and close the files that remain."""
        while self._parts:
            part = self._parts.popleft()
            if isinstance(part, FileRange):
                self._release(part)
        self.octets = self._memory = 0
        if self._spill is not None:
            self._spill.close()
            self._spill = None


def _send_file(sock: socket.socket | TlsSocket, fd: int, offset: int, count: int) -> int:
    if isinstance(sock, socket.socket):
        return os.sendfile(sock.fileno(), fd, offset, count)
    return sock.send_file(fd, offset, count)
