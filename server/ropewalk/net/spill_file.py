"""A temporary file for what a client has not taken of its response.

Not thread-safe, as the write buffer that it belongs to.
"""

from __future__ import annotations

import os

from ropewalk.net.response_budget import ResponseBudget

# From this size on a new file is begun, since the part of a file that is sent takes space until the file is closed: a
# stream that is read slowly for hours takes this much more than it has to, and not all that it has ever produced.
MAX_OCTETS = 16 * 1024 * 1024


class SpillFile:
    """`octets` of a file without a name, of which `unsent` are still to be sent; closed after the last of them."""

    __slots__ = ("_budget", "_file", "fd", "octets", "unsent")

    def __init__(self, budget: ResponseBudget) -> None:
        """Raises `OSError`."""
        try:
            import tempfile  # imports shutil and its codecs: only for the first peer that reads too slowly
        except ImportError as error:  # the installation is gone
            raise OSError(f"cannot load tempfile: {error}") from error
        self._file = tempfile.TemporaryFile(prefix="ropewalk-", buffering=0)  # noqa: SIM115 - closed by `close`
        self._budget = budget
        self.fd = self._file.fileno()
        self.octets = 0
        self.unsent = 0

    @property
    def is_full(self) -> bool:
        return self.octets >= MAX_OCTETS

    def append(self, content: memoryview) -> int:
        """Write `content`; return its offset. Raises `OSError`, and then the file is as before."""
        start = end = self.octets
        rest = content
        while rest:
            written = os.pwrite(self.fd, rest, end)
            end += written
            rest = rest[written:]
        self.octets = end
        self.unsent += len(content)
        self._budget.add_file_octets(len(content))
        return start

    def close(self) -> None:
        """Give the space back."""
        if not self._file.closed:
            self._file.close()
            self._budget.add_file_octets(-self.octets)
