"""The access log: a line for each request that was answered.

The thread that finished a request formats its line and appends it to a buffer; the buffer goes to the file in one
`write` for many lines, by whoever finds it long, or by a thread of the log's own soon after the first line. That
thread sleeps while there is nothing to write. What is not a file (a pipe) is written by that thread alone, so a reader
that does not read costs lines and never holds a thread that serves. Lines that are lost, there or on a full disk, are
counted: the error log tells when it begins, and how many they were once it is over.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress

from ropewalk.logs.access_format import AccessRecord, compile_format
from ropewalk.logs.error_log import get_logger, open_log
from ropewalk.logs.sink import Sink

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
        self._sink: Sink | None = Sink(self._open())
        """None once the log is closed. Written under `_writing`."""
        self.lost = 0
        """Lines that could not be written. Two threads that find the buffer full at the same moment may count one."""
        self._untold = 0
        """Of these, those that the error log has not told of."""
        self._is_failing = False
        """Whether the last write failed; under `_writing`."""
        self._has_lines = threading.Event()
        self._is_told = False
        """Whether the event was set since the log's thread has looked; for the writers, to whom asking it is dear."""
        self._is_closed = threading.Event()
        self._flusher: threading.Thread | None = None
        """Set once, under `_writing`."""

    def write(self, record: AccessRecord) -> None:
        """Take the line of `record`. Never raises, never waits."""
        buffer = self._buffer
        if len(buffer) >= MAX_BUFFERED_LINES:
            self._lose(1)
            return
        try:
            buffer.append(self._line(record))
        except Exception:  # noqa: BLE001 - a line must not cost a response
            get_logger().exception("the access log could not format a line")
            return
        if not self._is_told:
            self._is_told = True
            self._has_lines.set()
            if self._flusher is None:
                self._start_flusher()
        if len(buffer) < LINES_A_WRITE:
            return
        sink = self._sink
        if sink is not None and sink.is_file and self._writing.acquire(blocking=False):
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
            old, self._sink = self._sink, Sink(self._open())
            _close(old)
            self._tell_lost()

    def close(self) -> None:
        """Write the rest, end the log's thread and close the file."""
        self._is_closed.set()
        self._has_lines.set()
        if self._flusher is not None:
            self._flusher.join()
        with self._writing:
            self._write_out()
            self._tell_lost()
            _close(self._sink)
            self._sink = None

    def _open(self) -> int:
        return open_log("--access-logfile", self._path) if self._path else STANDARD_OUTPUT

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
            self._is_told = False  # behind the event's, and in front of the flush: a line is written now, or told of
            self.flush()

    def _write_out(self) -> None:
        """Empty the buffer into the file; the caller holds `_writing`."""
        lines = []
        with suppress(IndexError):
            for _ in range(len(self._buffer)):
                lines.append(self._buffer.popleft())
        if not lines or self._sink is None:
            return
        octets = ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")
        written = self._sink.write(octets)
        if written == len(octets):
            self._is_failing = False
            self._tell_lost()
            return
        self._lose(octets.count(b"\n", written))
        if not self._is_failing:
            self._is_failing = True
            get_logger().error("the access log cannot be written: %s", self._sink.fault)

    def _lose(self, count: int) -> None:
        self.lost += count
        self._untold += count

    def _tell_lost(self) -> None:
        untold, self._untold = self._untold, 0
        if untold:
            get_logger().warning("lines of the access log that could not be written: %d", untold)


def _close(sink: Sink | None) -> None:
    if sink is not None and sink.descriptor != STANDARD_OUTPUT:
        os.close(sink.descriptor)
