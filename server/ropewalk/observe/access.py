"""The access log: a line for each request that was answered.

The thread that finished a request formats its line and appends it to a buffer; the buffer goes to the file in one
`write` for many lines, by whoever finds it long, or by a thread of the log's own soon after the first line. That
thread sleeps while there is nothing to write. A reader that does not read (a full pipe) can cost lines, which are
counted in the error log, but never holds a thread that serves.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import deque
from contextlib import suppress
from select import PIPE_BUF

from ropewalk.observe.format import AccessRecord, compile_format
from ropewalk.observe.log import get_logger, open_log, write_all

__all__ = ["AccessLog", "AccessRecord"]

STANDARD_OUTPUT = 1

MAX_BUFFERED_LINES = 16384
"""Past it lines are lost: 2 MiB or so, a fifth of a second at the highest rate that was ever measured."""

LINES_A_WRITE = 512
"""A buffer this long is written by the thread that made it so."""

FLUSH_SECONDS = 0.1
"""How long a line may wait: not felt by whoever follows the file, and few writes a second."""


class AccessLog:
    """Lines of a format, appended to a file (`-`: standard output). Made in the process that writes them."""

    def __init__(self, target: str, format: str) -> None:
        """Raises ConfigError when the file cannot be opened, ValueError for a bad format."""
        self._line = compile_format(format)
        self._path = "" if target == "-" else os.path.abspath(target)
        self._buffer: deque[str] = deque()
        """Appended to by any thread, emptied by the holder of `_writing`; both ends of a deque are atomic."""
        self._writing = threading.Lock()
        """Held around the file: its descriptor and the order of lines in it."""
        self._descriptor = self._open()
        self._lost_lines = 0
        """A count for the operator; two threads that lose a line at the same moment may count one."""
        self._has_lines = threading.Event()
        self._is_closed = threading.Event()
        self._flusher: threading.Thread | None = None
        """Set once, under `_writing`."""

    def write(self, record: AccessRecord) -> None:
        """Take the line of `record`. Never raises, never waits."""
        buffer = self._buffer
        if len(buffer) >= MAX_BUFFERED_LINES:
            self._lost_lines += 1
            return
        try:
            buffer.append(self._line(record))
        except Exception:  # noqa: BLE001 - a line must not cost a response
            get_logger().exception("the access log could not format a line")
            return
        if not self._has_lines.is_set():
            self._has_lines.set()
            if self._flusher is None:
                self._start_flusher()
        if len(buffer) >= LINES_A_WRITE and self._writing.acquire(blocking=False):
            try:
                self._write_out()
            finally:
                self._writing.release()

    def flush(self) -> None:
        """Write what is buffered now."""
        with self._writing:
            self._write_out()

    def reopen(self) -> None:
        """Open the file again by its name, after something moved it away."""
        with self._writing:
            self._write_out()
            old, self._descriptor = self._descriptor, self._open()
            if old != STANDARD_OUTPUT:
                os.close(old)

    def close(self) -> None:
        """Write the rest, end the log's thread and close the file."""
        self._is_closed.set()
        self._has_lines.set()
        if self._flusher is not None:
            self._flusher.join()
        with self._writing:
            self._write_out()
            if self._descriptor not in (STANDARD_OUTPUT, -1):
                os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> int:
        descriptor = open_log("--access-logfile", self._path) if self._path else STANDARD_OUTPUT
        # Only a regular file takes any length in one piece; a pipe mixes writers past PIPE_BUF (pipe(7)).
        self._is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        return descriptor

    def _start_flusher(self) -> None:
        with self._writing:
            if self._flusher is None and not self._is_closed.is_set():
                self._flusher = threading.Thread(target=self._flush_soon, name="ropewalk-access-log", daemon=True)
                self._flusher.start()

    def _flush_soon(self) -> None:
        while not self._is_closed.is_set():
            self._has_lines.wait()
            self._is_closed.wait(FLUSH_SECONDS)
            self._has_lines.clear()
            self.flush()

    def _write_out(self) -> None:
        """Empty the buffer into the file; the caller holds `_writing`."""
        lines = []
        with suppress(IndexError):
            for _ in range(len(self._buffer)):
                lines.append(self._buffer.popleft())
        if lines and self._descriptor >= 0:
            for octets in self._pieces(lines):
                write_all(self._descriptor, octets)
        if self._lost_lines:
            lost, self._lost_lines = self._lost_lines, 0
            get_logger().warning("the access log is not read fast enough: %d lines lost", lost)

    def _pieces(self, lines: list[str]) -> list[bytes]:
        octets = ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")
        if not self._is_pipe or len(octets) <= PIPE_BUF:
            return [octets]
        pieces, start = [], 0
        while len(octets) - start > PIPE_BUF:
            end = octets.rfind(b"\n", start, start + PIPE_BUF) + 1 or octets.find(b"\n", start) + 1
            pieces.append(octets[start:end])
            start = end
        return [*pieces, octets[start:]] if start < len(octets) else pieces
