"""Whether the terminal on which the server was started has been closed."""

from __future__ import annotations

import os
from contextlib import suppress

STANDARD_ERROR = 2
TERMINAL = "/dev/tty"
"""That of the session (tty(4)); it cannot be opened if there is none, or none any more."""


class StartTerminal:
    """The terminal that standard error leads to, if it is that of the session: only then the kernel and the shell send
    HUP when it is closed."""

    def __init__(self) -> None:
        self._is_there = _is_there()

    def is_closed(self) -> bool:
        """Whether it was there at the start, and is no longer."""
        return self._is_there and not _is_there()


def _is_there() -> bool:
    with suppress(OSError):
        os.close(os.open(TERMINAL, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
        return os.isatty(STANDARD_ERROR)
    return False
