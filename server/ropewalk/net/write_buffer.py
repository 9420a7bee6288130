"""Octets and file ranges that are still to be sent on one connection, in order.

Not thread-safe: only the connection's holder uses it, or the lock of a streamed response guards it.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import TYPE_CHECKING, cast

from ropewalk.errors import FileTruncatedError
from ropewalk.net.response_budget import MIN_OBJECT, ResponseBudget
from ropewalk.net.spill_file import SpillFile
from ropewalk.portable import pread, sendfile

if TYPE_CHECKING:
    from ropewalk.net.tls import TlsSocket

# What waits in memory for a slow peer before the rest goes to a temporary file, unless it is a single object: that is
# one response of the usual size. The budget of all connections may leave less.
MAX_MEMORY = 1024 * 1024

# Octets sent at a time: a peer that reads as fast as we send must not occupy a thread for all of a large file.
MAX_FLUSH = 1024 * 1024
MAX_SENDFILE = MAX_FLUSH

# What TLS encrypts at a time (RFC 8446 section 5.1). When the socket is full, OpenSSL keeps the encrypted record, and
# the next call must begin with the same octets: fewer are an error. So these stay in parts that one call sends.
MAX_RECORD = 16 * 1024

# sendmsg takes up to IOV_MAX (1024) parts; a few dozen already fill a socket's buffer.
MAX_PARTS = 64


class FileRange:
    """`count` octets of the open file `fd` from `offset`; the write buffer closes `fd` once they are sent."""

    __slots__ = ("count", "fd", "offset", "spill")

    def __init__(self, fd: int, offset: int, count: int, spill: SpillFile | None = None) -> None:
        self.fd = fd
        self.offset = offset
        self.count = count
        self.spill = spill  # the temporary file that it is a part of; it has the descriptor then


class WriteBuffer:
    """A queue of octets and file ranges; `octets` counts what remains.

    What is appended is held as it is, and counted nowhere, until `settle` is called: most of it the socket takes before
    that.
    """

    __slots__ = ("_budget", "_encrypted", "_memory", "_new", "_parts", "_small", "_spill", "counted_octets", "octets")

    def __init__(self, budget: ResponseBudget) -> None:
        self._budget = budget
        self._parts: deque[memoryview | FileRange] = deque()
        self._new = 0  # parts at the end that are not settled
        self._encrypted = 0  # octets at the beginning that TLS may have encrypted already, at most
        self._memory = 0  # octets of the objects that the other parts in memory belong to
        self._small = 0  # those of them below MIN_OBJECT
        self._spill: SpillFile | None = None  # the one to append to
        self.counted_octets = 0  # by the budget
        self.octets = 0

    def append(self, content: bytes | memoryview) -> None:
        """Queue `content`."""
        if content:
            self.octets += len(content)
            self._parts.append(memoryview(content))
            self._new += 1

    def append_file(self, fd: int, offset: int, count: int) -> None:
        """Queue `count` octets of `fd`, which the write buffer owns from here on."""
        self.octets += count
        self._parts.append(FileRange(fd, offset, count))
        self._new += 1

    def settle(self) -> None:
        """The peer takes its time: keep of what was appended what there is memory for, and move the rest to a file.

        If no file can take it, it is kept in memory.
        """
        new = [self._parts.pop() for _ in range(self._new)]
        self._new = 0
        kept = self._encrypted - self.octets + sum(_size(part) for part in new) if self._encrypted else 0
        while new:
            part = new.pop()
            if isinstance(part, FileRange) or self._hold(part):
                self._parts.append(part)
            else:
                self._move_rest_to_file(part, kept)
            kept -= _size(part)

    def _move_rest_to_file(self, part: memoryview, kept: int) -> None:
        """Keep a copy of the first `kept` octets in memory."""
        if kept > 0:
            start = memoryview(bytes(part[:kept]))
            self._hold(start, is_forced=True)
            self._parts.append(start)
            part = part[kept:]
        if part and not self._move_to_file(part):
            self._parts.append(part)

    def _hold(self, part: memoryview, *, is_forced: bool = False) -> bool:
        whole = _whole(part)
        size = len(whole)
        if self._memory and self._memory + size > MAX_MEMORY and not is_forced:
            return False
        if size >= MIN_OBJECT:
            is_held = self._budget.hold_object(whole, is_forced=is_forced)
        else:
            is_held = self._budget.hold(self, self._small + size, is_forced=is_forced)
            self._small += size * is_held
        self._memory += size * is_held
        return is_held

    def _release(self, part: memoryview) -> None:
        """A part that was held has been sent, or is dropped."""
        whole = _whole(part)
        self._memory -= len(whole)
        if len(whole) >= MIN_OBJECT:
            self._budget.release_object(whole)
        else:
            self._small -= len(whole)  # the next `hold` passes it on to the budget, or the end of the response does

    def _move_to_file(self, part: memoryview) -> bool:
        """Write `part` to a temporary file, and queue that; on failure hold it in memory and return False."""
        spill = self._spill
        try:
            if spill is None or spill.is_full:
                spill = self._spill = SpillFile(self._budget)
            start = spill.append(part)
        except OSError as error:
            self._budget.on_file_failed(error)
            if spill is not None and not spill.unsent:
                self._close_spill(spill)
            return not self._hold(part, is_forced=True)
        last = self._parts[-1] if self._parts else None
        if isinstance(last, FileRange) and last.spill is spill and last.offset + last.count == start:
            last.count += len(part)
        else:
            self._parts.append(FileRange(spill.fd, start, len(part), spill))
        return True

    def _close_spill(self, spill: SpillFile) -> None:
        spill.close()
        if self._spill is spill:
            self._spill = None

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
            if not isinstance(sock, socket.socket):
                self._encrypted = MAX_RECORD
        if self.counted_octets and not self.octets:
            self._budget.hold(self, 0)
        return sent

    def _send_memory(self, sock: socket.socket | TlsSocket) -> int:
        batch: list[memoryview] = []
        for part in self._parts:
            if isinstance(part, FileRange) or len(batch) == MAX_PARTS:
                break
            batch.append(part)
        sent = sock.sendmsg(batch) if len(batch) > 1 else sock.send(batch[0])
        if sent == self.octets and len(batch) == self._new == len(self._parts):
            # fast path of `_drop_sent`; test_what_was_sent_is_dropped_at_once_or_part_by_part holds them equal
            self._parts.clear()
            self.octets = self._new = 0
        else:
            self._drop_sent(sent)
        return sent

    def _drop_sent(self, sent: int) -> None:
        self.octets -= sent
        while sent:
            part = self._parts[0]
            assert isinstance(part, memoryview)
            if sent < len(part):
                self._parts[0] = part[sent:]
                return
            sent -= len(part)
            self._drop_first()

    def _drop_first(self) -> None:
        part = self._parts.popleft()
        is_settled = len(self._parts) >= self._new
        if not is_settled:
            self._new -= 1
        if isinstance(part, FileRange):
            self._close_file(part)
        elif is_settled:
            self._release(part)

    def _send_file(self, sock: socket.socket | TlsSocket, part: FileRange) -> int:
        count = min(part.count, MAX_SENDFILE)
        sent = _send_file(sock, part.fd, part.offset, count)
        if not sent and count:
            raise FileTruncatedError(f"a file became {part.count} octets shorter while it was sent")
        part.offset += sent
        part.count -= sent
        self.octets -= sent
        if part.spill is not None:
            part.spill.unsent -= sent
        if not part.count:
            self._drop_first()
        return sent

    def _close_file(self, part: FileRange) -> None:
        if part.spill is None:
            os.close(part.fd)
        elif not part.spill.unsent:
            self._close_spill(part.spill)

    def close(self) -> None:
        """Drop everything, and close the files that remain."""
        for part in self._parts:
            if isinstance(part, FileRange) and part.spill is not None:
                part.spill.unsent = 0
        while self._parts:
            self._drop_first()
        self.octets = 0
        self._budget.hold(self, 0)


def _size(part: memoryview | FileRange) -> int:
    return part.count if isinstance(part, FileRange) else len(part)


def _whole(part: memoryview) -> bytes:
    """The object that `part` is of: it lives as long as any part of it."""
    return cast("bytes", part.obj)


def _send_file(sock: socket.socket | TlsSocket, fd: int, offset: int, count: int) -> int:
    if isinstance(sock, socket.socket):
        if sendfile is None:  # Windows
            return sock.send(pread(fd, min(count, MAX_RECORD), offset))
        return sendfile(sock.fileno(), fd, offset, count)
    return sock.send_file(fd, offset, count)
