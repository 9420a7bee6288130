"""The seam between the master and what serves its operator: what each may ask of the other.

The control layer (`ropewalk.control`) implements `ControlPort` and calls `MasterApi`; the master knows neither sockets
nor commands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from ropewalk.process.master.worker_handle import WorkerHandle

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import Counters, MasterStatus


class MasterApi(Protocol):
    """What an operator may ask of the master."""

    def status(self) -> MasterStatus:
        """The state of the master and its workers, as known without asking them."""

    def workers(self) -> Iterable[WorkerHandle]:
        """The workers that have not exited."""

    def reload(self) -> str:
        """Reload; returns why that is refused, or ""."""

    def stop(self, *, is_quick: bool) -> None:
        """Stop as on TERM, or as on INT."""

    def upgrade(self) -> str:
        """Start a new master beside this one; returns why that is refused, or ""."""

    def scale(self, workers: int) -> str:
        """Set the number of workers; returns why that is refused, or ""."""


class ControlPort(Protocol):
    """What the master needs of the control layer, in its own poll loop. No method blocks."""

    def attach(self, master: MasterApi) -> None:
        """Called once, before anything else."""

    def pollable(self) -> Iterator[tuple[int, int]]:
        """File descriptors, with the poll events to wait for on each."""

    def seconds_to_act(self, now: float) -> float | None:
        """Seconds until it has something to do without an event; None if nothing is due."""

    def attend(self, ready: set[int]) -> None:
        """Handle events; `ready` may hold file descriptors of other owners."""

    def rest(self, is_resting: bool) -> None:
        """Leave the sockets shared with another master to that one, or take them back."""

    def forget(self, view: WorkerHandle) -> None:
        """A worker has exited: stop waiting for it."""

    def count_gone(self, counters: Counters) -> None:
        """Keep the final counters of a worker that has exited."""

    def abandon(self) -> None:
        """Close everything, in a forked child or at the end."""


class NoControl:
    """The `ControlPort` of a master without a control socket."""

    def attach(self, master: MasterApi) -> None:
        pass

    def pollable(self) -> Iterator[tuple[int, int]]:
        return iter(())

    def seconds_to_act(self, now: float) -> float | None:
        return None

    def attend(self, ready: set[int]) -> None:
        pass

    def rest(self, is_resting: bool) -> None:
        pass

    def forget(self, view: WorkerHandle) -> None:
        pass

    def count_gone(self, counters: Counters) -> None:
        pass

    def abandon(self) -> None:
        pass
