"""The module search path and the environment variables that settings give to this process. Main thread only."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress

from ropewalk.config.settings import Settings
from ropewalk.process.system.directory import Directory


class ProcessEnvironment:
    """What settings added to this process, so that it can be replaced: a worker inherits the master's by its fork."""

    def __init__(self) -> None:
        self._directories: list[str] = []
        """What `apply` put at the front of the search path."""
        self._moved: list[str] = []
        """Those of them that were elsewhere in the search path before, perhaps by the path of a link."""
        self._replaced: dict[str, str | None] = {}
        """What each variable was before; None if it was not set."""

    def apply(self, directories: Iterable[str], assignments: Iterable[str]) -> None:
        """Put directories at the front of the search path, set variables (NAME=VALUE), and undo earlier ones."""
        self.restore()
        self._directories = list(dict.fromkeys(map(os.path.abspath, directories)))
        # By another path, a package would have two places, which Django refuses.
        resolved = set(map(os.path.realpath, self._directories))
        self._moved = [each for each in sys.path if os.path.isabs(each) and os.path.realpath(each) in resolved]
        sys.path[:] = [*self._directories, *(each for each in sys.path if each not in self._moved)]
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


def use_path_of(directory: Directory) -> None:
    """Have the search path name what is in the start directory by the path of that: both may be in a release.

    `python -m` has put the directory there with its links resolved. Raises OSError.
    """
    resolved = os.getcwd()
    sys.path[:] = [directory.rebase(each, resolved) if os.path.isabs(each) else each for each in sys.path]
