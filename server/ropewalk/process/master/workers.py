"""The workers of one master: which there are, whether one is missing, and which to drain.

Main thread of the master only.
"""

from __future__ import annotations

from collections.abc import Iterator

from ropewalk.process.master.worker_handle import WorkerHandle
from ropewalk.process.states import CURRENT_STATES, SERVING_STATES, WorkerState


class Workers:
    """The workers that were forked and have not been reaped."""

    def __init__(self) -> None:
        self._by_pid: dict[int, WorkerHandle] = {}

    def __iter__(self) -> Iterator[WorkerHandle]:
        """Over those of now: adding or removing one meanwhile is harmless."""
        return iter(list(self._by_pid.values()))

    def __len__(self) -> int:
        return len(self._by_pid)

    def add(self, worker: WorkerHandle) -> None:
        self._by_pid[worker.pid] = worker

    def remove(self, worker: WorkerHandle) -> None:
        """Remove one that was reaped."""
        worker.release()
        del self._by_pid[worker.pid]

    def close_in_child(self) -> None:
        """Release all of them in a forked child: they belong to its master."""
        for worker in self:
            self.remove(worker)

    def count(self, state: WorkerState) -> int:
        return sum(worker.state is state for worker in self)

    def serving(self) -> list[WorkerHandle]:
        return [worker for worker in self if worker.state in SERVING_STATES]

    # What is to change

    def needs_worker(self, target: int) -> bool:
        """Whether a worker is to be forked to keep `target` of them."""
        states = [worker.state for worker in self]
        is_none_missing = sum(state in SERVING_STATES for state in states) >= target
        if WorkerState.BOOTING in states and (WorkerState.OUTDATED in states or is_none_missing):
            return False  # one after another: the machine need not have room for twice as many
        return sum(state in CURRENT_STATES for state in states) < target

    def to_drain(self, target: int) -> list[WorkerHandle]:
        """The workers beyond `target`, and those that still boot from before a reload that is complete."""
        serving = sorted(self.serving(), key=lambda worker: (_DRAIN_ORDER.index(worker.state), worker.started))
        found = serving[: max(0, len(serving) - target)]
        if sum(worker.state is WorkerState.READY and worker not in found for worker in self) >= target:
            found += [worker for worker in self if worker.state is WorkerState.STALE]
        return found

    # A reload

    def mark_outdated(self) -> None:
        """A reload begins: all workers are from before it."""
        self._move(_OUTDATED)

    def restore_outdated(self) -> None:
        """The reload has failed: the workers from before it are current again."""
        self._move(_RESTORED)

    def _move(self, moves: dict[WorkerState, WorkerState]) -> None:
        for worker in self:
            if worker.state in moves:
                worker.move(moves[worker.state])


_OUTDATED = {WorkerState.READY: WorkerState.OUTDATED, WorkerState.BOOTING: WorkerState.STALE}

_RESTORED = {new: old for old, new in _OUTDATED.items()}

_DRAIN_ORDER = (WorkerState.RETIRING, WorkerState.OUTDATED, WorkerState.READY)
"""Which serving workers are drained first if there are too many; of each state the oldest first."""
