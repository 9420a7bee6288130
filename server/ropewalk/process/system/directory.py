"""A directory that is entered by its path each time: the path may be a link, which a deployment switches to a release.

`getcwd` has the path that the link led to, so what the kernel reports as a process's directory is the old release for
as long as the process lives, even after that release has been removed. Main thread only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

from ropewalk.errors import ConfigError


class Directory(NamedTuple):
    """A directory to enter, and how to name it in an error."""

    path: str
    """Absolute; no link in it is resolved."""
    setting: str
    """What chose it: an option, or words."""
    value: str
    """As the operator wrote it."""

    def enter(self) -> None:
        """Make it the current directory of this process. Raises ConfigError."""
        try:
            os.chdir(self.path)
        except OSError as error:
            raise ConfigError(self.setting, self.value, f"{error.strerror}".lower()) from None

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be there for a while. Raises ConfigError."""
        # By a descriptor: the directory to return to may have been removed, and then it has no path.
        try:
            before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigError("the current directory", None, f"{error.strerror}".lower()) from None
        try:
            self.enter()
            yield
        finally:
            os.fchdir(before)
            os.close(before)

    def joined(self, setting: str, value: str) -> Directory:
        """The directory `value`, which is relative to this one; the same one if it is empty."""
        # Not normalized: after a link, `..` is the parent of what it leads to.
        return Directory(os.path.join(self.path, value), setting, value) if value else self

    def rebase(self, path: str, resolved: str) -> str:
        """`path`, starting with this directory's path if it starts with `resolved`, which this one once led to."""
        if path == resolved:
            return self.path
        inside = resolved.rstrip("/") + "/"
        return os.path.join(self.path, path.removeprefix(inside)) if path.startswith(inside) else path


def start_directory(environ: Mapping[str, str]) -> Directory:
    """The current directory, by the path in PWD if that names it: a shell sets it, with links as they were typed.

    Raises OSError if the current directory has been removed.
    """
    current = os.getcwd()
    path = environ.get("PWD", "")
    with suppress(OSError, ValueError):
        if os.path.isabs(path) and os.path.samefile(path, current):
            return Directory(path, "the start directory", path)
    return Directory(current, "the start directory", current)


def is_removed() -> bool:
    """Whether the current directory has been removed."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False
