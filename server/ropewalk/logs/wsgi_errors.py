"""The application's `wsgi.errors` (PEP 3333), which writes lines to the error log.

All threads of the pool use it at once. Each collects its own line, so that lines of two requests do not mix. A request
that is interrupted in a call of this stream raises the exception once all lines of the call are written.
"""

from __future__ import annotations

import io
import threading

from ropewalk.interruptions import uninterrupted
from ropewalk.logs.error_log import ErrorLog

MAX_LINE = 64 * 1024
"""Characters of an unfinished line, after which it is written as it is."""


class WsgiErrors(io.TextIOBase):
    """A text stream that writes line by line, even if a line arrives in pieces.

    A closed pipe or a full disk raises no exception in the application.
    """

    def __init__(self, log: ErrorLog) -> None:
        super().__init__()
        self._log = log
        self._of_thread = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes text, not {type(text).__name__}")
        with uninterrupted:
            self._write(text)
        return len(text)

    def _write(self, text: str) -> None:
        *lines, rest = (getattr(self._of_thread, "rest", "") + text).split("\n")
        if len(rest) > MAX_LINE:
            lines.append(rest)
            rest = ""
        self._of_thread.rest = rest
        for line in lines:
            self._log.text(line)

    def flush(self) -> None:
        """Write the unfinished line of this thread."""
        with uninterrupted:
            rest = getattr(self._of_thread, "rest", "")
            self._of_thread.rest = ""
            if rest:
                self._log.text(rest)
