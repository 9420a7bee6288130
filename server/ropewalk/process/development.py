"""What the process layer needs of a server for development: a watch over files, and a stand-in for what cannot boot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ropewalk.process.ipc.reports import FilesChanged


class Development(Protocol):
    """Made in the master; a worker has a copy by its fork."""

    # In the master

    def stand_in(self, reason: str) -> bool:
        """A worker has died for that reason: have the next one only show it. False if it did just that."""

    def changed(self, report: FilesChanged) -> None:
        """A worker has reported a change: the next one is an ordinary one."""

    # In a worker

    shows_failure: bool
    """Whether the application could not be loaded, and what serves only shows why."""

    def start_watching(self, report: Callable[[FilesChanged], object]) -> None:
        """Watch, in a thread, what is imported from now on."""
