"""The access log: a line for each request.

The thread that finished a request formats its line and appends it to a buffer. The buffer is written many lines at a
time, by the thread that makes it long, or soon after its first line by the log's own thread, which sleeps while there
is nothing to write. Only that thread writes to anything but a file (a pipe): a reader that does not read costs lines,
but never blocks a thread that serves. Lines that are lost, there or on a full disk, are counted; the error log reports
when that begins, and how many they were when it is over.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress

from ropewalk.interruptions import uninterrupted
from ropewalk.logs.access_format import JSON, compile_format
from ropewalk.logs.access_record import AccessRecord
from ropewalk.logs.error_log import get_logger, inheriting_log, open_log
from ropewalk.logs.escape import printable
from ropewalk.logs.names import NO_NAMES, Names
from ropewalk.logs.sink import Sink

STANDARD_OUTPUT = 1

MAX_BUFFERED_LINES = 16384
"""More are lost. This is about 2 MiB, or a fifth of a second at the highest rate ever measured."""

LINES_PER_WRITE = 512
"""A buffer of this length is written by the thread that completes it."""

FLUSH_SECONDS = 0.1
"""How long a line may wait: too short for a reader to notice, and still few writes per second."""


class AccessLog:
    """Lines of a format, appended to a file (`-`: standard output). Created in the process that writes them."""

    def __init__(self, target: str, format: str, names: Names = NO_NAMES) -> None:
        """Raises ConfigError if the file cannot be opened, ValueError for a bad format."""
        self._path = "" if target == "-" else os.path.abspath(target)
        self._line = compile_format(format, -1 if self._path else STANDARD_OUTPUT, names)
        self._names = names
        self._is_json = format == JSON
        self._buffer: deque[str] = deque()
        """Any thread appends, the holder of `_writing` removes; both are atomic on a deque."""
        self._writing = threading.Lock()
        """Protects the file: its descriptor, and the order of its lines."""
        self._sink: Sink | None = Sink(self._open())
        """None once the log is closed. Written under `_writing`."""
        self.lost = 0
        """Lines that could not be written. Two threads that find the buffer full at the same moment may count one."""
        self._unreported = 0
        """Those of the lost lines that the error log has not reported yet."""
        self._is_failing = False
        """Whether the last write failed; under `_writing`."""
        self._has_lines = threading.Event()
        self._is_notified = False
        """Whether the event was set since the log's thread last cleared it. Cheaper to read than the event."""
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
            get_logger().exception("cannot format a line of the access log")
            return
        if not self._is_notified:
            self._notify()
        if len(buffer) < LINES_PER_WRITE:
            return
        sink = self._sink
        if sink is not None and sink.is_file and self._writing.acquire(blocking=False):
            try:
                self._write_out()
            finally:
                self._writing.release()

    def text(self, text: str) -> None:
        """Take a message of the application's own, as one line. Never raises, never waits."""
        if len(self._buffer) >= MAX_BUFFERED_LINES:
            self._lose(1)
            return
        if self._is_json:
            from ropewalk.logs.access_json import json_message  # loaded with the format

            line = json_message(text, self._names.as_keys())
        else:
            line = printable(text).replace("\n", "\\n")
        with uninterrupted:  # in the middle of a request, unlike `write`
            self._buffer.append(line)
            if not self._is_notified:
                self._notify()

    def _notify(self) -> None:
        """Have the log's thread write the buffer soon."""
        self._is_notified = True
        self._has_lines.set()
        if self._flusher is None:
            self._start_flusher()

    def flush(self) -> None:
        """Write everything that is buffered."""
        with self._writing:
            self._write_out()

    def reopen(self) -> None:
        """Open the file by its name again, after it was moved away."""
        with self._writing:
            self._write_out()
            old, self._sink = self._sink, Sink(self._open())
            _close(old)
            self._report_lost()

    def close(self) -> None:
        """Write the rest, end the log's thread and close the file."""
        self._is_closed.set()
        self._has_lines.set()
        if self._flusher is not None:
            self._flusher.join()
        with self._writing:
            self._write_out()
            self._report_lost()
            _close(self._sink)
            self._sink = None

    def _open(self) -> int:
        return open_log("--access-logfile", self._path) if self._path else STANDARD_OUTPUT

    def _start_flusher(self) -> None:
        with self._writing:
            if self._flusher is None and not self._is_closed.is_set():
                flush = inheriting_log(self._flush_soon)
                self._flusher = threading.Thread(target=flush, name="ropewalk-access-log", daemon=True)
                self._flusher.start()

    def _flush_soon(self) -> None:
        while not self._is_closed.is_set():
            self._has_lines.wait()
            self._is_closed.wait(FLUSH_SECONDS)
            self._has_lines.clear()
            self._is_notified = False  # after the event and before the flush: a line is either written now or notified
            self.flush()

    def _write_out(self) -> None:
        """Empty the buffer into the file. The caller holds `_writing`."""
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
            self._report_lost()
            return
        self._lose(octets.count(b"\n", written))
        if not self._is_failing:
            self._is_failing = True
            get_logger().error("cannot write the access log: %s", self._sink.fault)

    def _lose(self, count: int) -> None:
        self.lost += count
        self._unreported += count

    def _report_lost(self) -> None:
        lost, self._unreported = self._unreported, 0
        if lost:
            get_logger().warning("%d %s lost", lost, "access log line was" if lost == 1 else "access log lines were")


def _close(sink: Sink | None) -> None:
    if sink is not None and sink.descriptor != STANDARD_OUTPUT:
        os.close(sink.descriptor)
