"""The states of a worker as its master sees it, and of the master itself: tables, and one step through them.

The worker process has no such states: it boots, serves, and exits. What the master knows about it arrives over a pipe
and from `waitpid`, later than it happened; that is why the master keeps a state of its own for each worker.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeVar


class WorkerState(enum.Enum):
    """What the master knows about a worker."""

    BOOTING = "forked, and has not reported yet"
    STALE = "forked before a reload, and has not reported yet"
    READY = "serves"
    OUTDATED = "serves what was current before a reload, until a new worker is ready in its place"
    RETIRING = "serves, until a new worker is ready in its place"
    DRAINING = "was asked to finish what is in flight and exit"
    CLOSING = "was asked to exit at once"
    KILLED = "did not exit in time, or sent no heartbeat, and was sent SIGKILL"
    GONE = "was reaped"


class MasterState(enum.Enum):
    """What the master is doing."""

    SERVING = "keeps the number of workers that was asked for"
    RELOADING = "replaces its workers, one after another"
    HANDING_OVER = "was asked to stop, and keeps serving until the new master is ready"
    STOPPING = "was asked to stop, and keeps serving until those who send requests have noticed"
    DRAINING = "waits until its workers have finished"
    CLOSING = "waits until its workers have exited"


WORKER_MOVES: Mapping[WorkerState, frozenset[WorkerState]] = {
    WorkerState.BOOTING: frozenset(
        {
            WorkerState.STALE,
            WorkerState.READY,
            WorkerState.DRAINING,
            WorkerState.CLOSING,
            WorkerState.GONE,
        }
    ),
    # Its report may be under way: it then serves until a new worker does. Back to BOOTING if the reload fails.
    WorkerState.STALE: frozenset(
        {
            WorkerState.BOOTING,
            WorkerState.OUTDATED,
            WorkerState.DRAINING,
            WorkerState.CLOSING,
            WorkerState.GONE,
        }
    ),
    WorkerState.READY: frozenset(
        {
            WorkerState.OUTDATED,
            WorkerState.RETIRING,
            WorkerState.DRAINING,
            WorkerState.CLOSING,
            WorkerState.KILLED,
            WorkerState.GONE,
        }
    ),
    # Back to READY if the reload fails.
    WorkerState.OUTDATED: frozenset(
        {
            WorkerState.READY,
            WorkerState.RETIRING,
            WorkerState.DRAINING,
            WorkerState.CLOSING,
            WorkerState.KILLED,
            WorkerState.GONE,
        }
    ),
    WorkerState.RETIRING: frozenset({WorkerState.DRAINING, WorkerState.CLOSING, WorkerState.KILLED, WorkerState.GONE}),
    WorkerState.DRAINING: frozenset({WorkerState.CLOSING, WorkerState.KILLED, WorkerState.GONE}),
    WorkerState.CLOSING: frozenset({WorkerState.KILLED, WorkerState.GONE}),
    WorkerState.KILLED: frozenset({WorkerState.GONE}),
    WorkerState.GONE: frozenset(),
}

MASTER_MOVES: Mapping[MasterState, frozenset[MasterState]] = {
    MasterState.SERVING: frozenset(
        {
            MasterState.RELOADING,
            MasterState.HANDING_OVER,
            MasterState.STOPPING,
            MasterState.DRAINING,
            MasterState.CLOSING,
        }
    ),
    MasterState.RELOADING: frozenset(
        {
            MasterState.SERVING,
            MasterState.HANDING_OVER,
            MasterState.STOPPING,
            MasterState.DRAINING,
            MasterState.CLOSING,
        }
    ),
    MasterState.HANDING_OVER: frozenset({MasterState.STOPPING, MasterState.DRAINING, MasterState.CLOSING}),
    MasterState.STOPPING: frozenset({MasterState.DRAINING, MasterState.CLOSING}),
    MasterState.DRAINING: frozenset({MasterState.CLOSING}),
    MasterState.CLOSING: frozenset(),
}

BOOTING_STATES = frozenset({WorkerState.BOOTING, WorkerState.STALE})
"""A worker in one of these loads the application."""

SERVING_STATES = frozenset({WorkerState.READY, WorkerState.OUTDATED, WorkerState.RETIRING})
"""A worker in one of these serves requests."""

CURRENT_STATES = frozenset({WorkerState.BOOTING, WorkerState.READY})
"""A worker in one of these counts towards the number that the master keeps."""

EXITING_STATES = frozenset({WorkerState.DRAINING, WorkerState.CLOSING, WorkerState.KILLED})
"""A worker in one of these is expected to exit."""

FORKING_STATES = frozenset({MasterState.SERVING, MasterState.RELOADING, MasterState.HANDING_OVER, MasterState.STOPPING})
"""A master in one of these forks and drains workers to keep their number."""

RUNNING_STATES = frozenset({MasterState.SERVING, MasterState.RELOADING})
"""A master in one of these was not asked to stop, and accepts commands."""

READY_STATES = RUNNING_STATES | {MasterState.HANDING_OVER}
"""To those who send requests, a master in one of these is ready: if it stops, the new one serves in its place."""

STOPPING_STATES = frozenset({MasterState.HANDING_OVER, MasterState.STOPPING})
"""A master in one of these was asked to stop, but still serves."""

State = TypeVar("State", WorkerState, MasterState)


class IllegalMove(Exception):  # noqa: N818 - named after the rule that it breaks
    """A bug of the server: a state was followed by one that its table does not allow."""


def move(moves: Mapping[State, frozenset[State]], old: State, new: State) -> State:
    """`new`, if the table allows it after `old`. Raises IllegalMove."""
    if new not in moves[old]:
        raise IllegalMove(f"from {old.name} to {new.name}")
    return new
