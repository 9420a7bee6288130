"""The seam between the master and the control layer: what each may ask of the other.

The control layer (`ropewalk.control`) implements `ControlPort` and calls `MasterApi`; the master knows neither sockets
nor commands. All of it runs in the master's main thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from ropewalk.process.master.worker_handle import WorkerHandle

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import MasterStatus


class Refused(Exception):  # noqa: N818 - a result that the operator reads, not a fault
    """The master cannot do what it was asked; the message is the reason, in one line."""


class MasterApi(Protocol):
    """What an operator may ask of the master."""

    def status(self) -> MasterStatus:
        """The state of the master and its workers, as known without querying them."""

    def workers(self) -> Iterable[WorkerHandle]:
        """The workers that have not been reaped."""

    def reload(self) -> None:
        """Read the settings again and start to replace the workers, as on HUP. Raises Refused."""

    def upgrade(self) -> None:
        """Start a new master beside this one, as on USR2. Raises Refused."""

    def scale(self, workers: int) -> None:
        """Set the number of workers. Raises Refused."""

    def stop(self, *, is_quick: bool) -> None:
        """Stop, as on TERM, or quickly, as on INT."""


class ControlPort(Protocol):
    """What the master needs of the control layer, in its own poll loop. No method blocks."""

    def attach(self, master: MasterApi) -> None:
        """Called once, before anything else."""

    def pollable(self) -> Iterator[tuple[int, int]]:
        """File descriptors, with the poll events to wait for on each."""

    def seconds_until_due(self, now: float) -> float | None:
        """Seconds until something is to be done without an event; None if nothing is."""

    def handle_events(self, ready: set[int]) -> None:
        """Handle what arrived, and what is due; `ready` may hold file descriptors of other owners."""

    def set_standby(self, is_standby: bool) -> None:
        """Leave the sockets that another master shares to that one, or take them back."""

    def worker_exited(self, worker: WorkerHandle) -> None:
        """A worker was reaped: wait no longer for its results, and keep its final counters."""

    def close(self) -> None:
        """Close everything, in a forked child or at the end."""


class NoControl:
    """The `ControlPort` of a master that takes no commands."""

    def attach(self, master: MasterApi) -> None:
        pass

    def pollable(self) -> Iterator[tuple[int, int]]:
        return iter(())

    def seconds_until_due(self, now: float) -> float | None:
        return None

    def handle_events(self, ready: set[int]) -> None:
        pass

    def set_standby(self, is_standby: bool) -> None:
        pass

    def worker_exited(self, worker: WorkerHandle) -> None:
        pass

    def close(self) -> None:
        pass
