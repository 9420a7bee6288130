"""An application's `wsgi.errors` (PEP 3333), whose lines go to the error log.

Used by every thread of the pool at once: each gathers its own line, so that those of two requests do not mix.
"""

from __future__ import annotations

import io
import threading

from ropewalk.logs.error_log import ErrorLog

MAX_LINE = 64 * 1024
"""Characters of a line that does not end; it is then written as far as it is there."""


class WsgiErrors(io.TextIOBase):
    """Text, line by line: what is printed there with its end of line apart is one message all the same.

    A closed pipe or a full disk is no exception for the application.
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
        *lines, rest = (getattr(self._of_thread, "rest", "") + text).split("\n")
        if len(rest) > MAX_LINE:
            lines.append(rest)
            rest = ""
        self._of_thread.rest = rest
        for line in lines:
            self._log.text(line)
        return len(text)

    def flush(self) -> None:
        """Write what this thread has of a line."""
        rest = getattr(self._of_thread, "rest", "")
        self._of_thread.rest = ""
        if rest:
            self._log.text(rest)
