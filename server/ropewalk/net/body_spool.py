"""Where a request's content is gathered until it is whole: in memory up to a size, then in a temporary file.

Filled by the one thread that holds the connection; then passed to the application as `wsgi.input`, which is its only
user from there on.
"""

from __future__ import annotations

from io import BytesIO
from typing import IO

from ropewalk.net.body_budget import UNCOUNTED_OCTETS, BodyBudget


class BodySpool:
    """Gathers content; `octets` counts what it holds."""

    __slots__ = ("_budget", "_file", "_max_memory", "counted_octets", "octets")

    def __init__(self, max_memory: int, budget: BodyBudget, content: bytes = b"") -> None:
        """`content` is what it begins with: no more than `max_memory`, and no more than is not counted."""
        self._budget = budget
        self.counted_octets = 0  # of the budget
        self._max_memory = max_memory
        self._file: IO[bytes] = BytesIO(content)
        self.octets = len(content)

    def write(self, content: bytes | memoryview) -> None:
        """Append `content`.

        Raises `OSError` when the temporary file cannot take it (a full disk), `OverloadError` when the budget cannot.
        """
        octets = self.octets + len(content)
        counted = octets - UNCOUNTED_OCTETS
        if counted > self.counted_octets:
            self._budget.take(self, counted)
        self.octets = octets
        if self.octets > self._max_memory and type(self._file) is BytesIO:
            self._move_to_file(self._file)
        self._file.write(content)

    def _move_to_file(self, memory: BytesIO) -> None:
        try:
            import tempfile  # imports shutil and its codecs: only for the first large body
        except ImportError as error:  # the installation is gone
            raise OSError(f"cannot load tempfile: {error}") from error
        file = tempfile.TemporaryFile(prefix="ropewalk-")  # noqa: SIM115 - it lives as long as the request
        try:
            file.write(memory.getbuffer())
        except OSError:
            file.close()
            raise
        self._file = file

    def reader(self) -> IO[bytes]:
        """Return the content as a file positioned at its start. Raises `OSError` as `write` does."""
        self._file.seek(0)  # flushes what the file still buffers
        return self._file

    def close(self) -> None:
        """Drop the content."""
        self._file.close()
        self._budget.release(self)
