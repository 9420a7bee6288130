"""The workers of one master, as it sees them: who is there, who is missing, who is to go.

Main thread of the master only.
"""

from __future__ import annotations

from collections.abc import Iterator

from ropewalk.process.master.worker_handle import WorkerHandle
from ropewalk.process.states import KEPT_STATES, SERVING_STATES, WorkerState


class Workers:
    """Workers, from the fork until each is reaped."""

    def __init__(self) -> None:
        self._views: dict[int, WorkerHandle] = {}

    def __iter__(self) -> Iterator[WorkerHandle]:
        """Those of now: one that is added or removed meanwhile does not matter."""
        return iter(list(self._views.values()))

    def __len__(self) -> int:
        return len(self._views)

    def add(self, view: WorkerHandle) -> None:
        self._views[view.pid] = view

    def remove(self, view: WorkerHandle) -> None:
        """Let go of one that is gone."""
        view.release()
        del self._views[view.pid]

    def abandon(self) -> None:
        """Let go of all, in a forked child: they are its master's."""
        for view in self:
            self.remove(view)

    # Who is there

    def count(self, state: WorkerState) -> int:
        return sum(view.state is state for view in self)

    def serving(self) -> list[WorkerHandle]:
        return [view for view in self if view.state in SERVING_STATES]

    def lacks(self, target: int) -> bool:
        """Whether one is to be forked for `target` to be kept."""
        states = [view.state for view in self]
        is_none_missing = sum(state in SERVING_STATES for state in states) >= target
        if WorkerState.BOOTING in states and (WorkerState.OUTDATED in states or is_none_missing):
            return False  # one after another: the machine need not have room for all of them twice
        return sum(state in KEPT_STATES for state in states) < target

    def superfluous(self, target: int) -> list[WorkerHandle]:
        """Those to be drained, when more serve than `target` or are of before a reload that is complete."""
        serving = sorted(self.serving(), key=lambda view: (_FIRST_TO_GO.index(view.state), view.started))
        found = serving[: max(0, len(serving) - target)]
        if sum(view.state is WorkerState.READY and view not in found for view in self) >= target:
            found += [view for view in self if view.state is WorkerState.STALE]
        return found

    # A reload

    def supersede(self) -> None:
        """A reload begins: all are of before it."""
        self._change(_SUPERSEDED)

    def reinstate(self) -> None:
        """The reload is given up: those of before it stay."""
        self._change(_REINSTATED)

    def _change(self, moves: dict[WorkerState, WorkerState]) -> None:
        for view in self:
            if view.state in moves:
                view.move(moves[view.state])


_SUPERSEDED = {WorkerState.READY: WorkerState.OUTDATED, WorkerState.BOOTING: WorkerState.STALE}

_REINSTATED = {new: old for old, new in _SUPERSEDED.items()}

_FIRST_TO_GO = (WorkerState.CONDEMNED, WorkerState.OUTDATED, WorkerState.READY)
"""In this order workers are drained when more serve than are wanted; the oldest first of each."""
