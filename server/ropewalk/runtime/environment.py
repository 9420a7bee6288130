"""The module search path and the environment variables that settings give to this process. Main thread only."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress

from ropewalk.config.settings import Settings


class ProcessEnvironment:
    """What settings added to this process, so that it can be replaced: a worker inherits the master's by its fork."""

    def __init__(self) -> None:
        self._directories: list[str] = []
        """What `apply` put at the front of the search path."""
        self._moved: list[str] = []
        """Those of them that were elsewhere in the search path before."""
        self._replaced: dict[str, str | None] = {}
        """What each variable was before; None if it was not set."""

    def apply(self, directories: Iterable[str], assignments: Iterable[str]) -> None:
        """Put directories at the front of the search path, set variables (NAME=VALUE), and undo earlier ones."""
        self.restore()
        self._directories = list(dict.fromkeys(map(os.path.abspath, directories)))
        self._moved = [directory for directory in self._directories if directory in sys.path]
        sys.path[:] = [*self._directories, *(each for each in sys.path if each not in self._directories)]
        for assignment in assignments:
            name, _, value = assignment.partition("=")
            self._replaced.setdefault(name, os.environ.get(name))
            os.environ[name] = value

    def restore(self) -> None:
        """Undo what `apply` did. Directories that were in the search path before are at its end afterwards."""
        for directory in self._directories:
            with suppress(ValueError):  # the application removed it
                sys.path.remove(directory)
        sys.path += self._moved
        for name, value in self._replaced.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._directories, self._moved, self._replaced = [], [], {}


_environment = ProcessEnvironment()


def prepare(settings: Settings) -> None:
    """Set the search path and the variables of this process, in each worker again: a reload may have changed them."""
    # `python -m` has put the current directory there already, a console script its own instead.
    _environment.apply([*settings.pythonpath, os.getcwd()], settings.env)
