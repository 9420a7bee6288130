"""The states of a worker as its master sees it, and of the master itself: tables, and one step through them.

The worker has no such states: it boots, serves, and ends. What the master *knows* of it comes over a pipe and
from `waitpid`, later than it happened, which is why the master's view is kept apart from the worker.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeVar


class WorkerState(enum.Enum):
    """What the master knows of a worker."""

    BOOTING = "forked, and not yet heard of"
    STALE = "forked before a reload, and not yet heard of"
    READY = "serves"
    OUTDATED = "serves what was before a reload, until another is ready in its place"
    CONDEMNED = "serves, until another is ready in its place"
    DRAINING = "was told to finish what is in flight and end"
    CLOSING = "was told to end at once"
    KILLED = "had its time, or gave no sign of life, and was sent SIGKILL"
    GONE = "was reaped"


class MasterState(enum.Enum):
    """What the master is about."""

    SERVING = "keeps as many workers as it was asked for"
    RELOADING = "replaces its workers, one after another"
    LEAVING = "was told to end, and serves on until those who send requests know it"
    DRAINING = "waits until its workers have finished"
    CLOSING = "waits until its workers have ended"


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
    # Its report may be on the way: it then serves until a new one does. Back to BOOTING when the reload is given up.
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
            WorkerState.CONDEMNED,
            WorkerState.DRAINING,
            WorkerState.CLOSING,
            WorkerState.KILLED,
            WorkerState.GONE,
        }
    ),
    # Back to READY when the reload is given up.
    WorkerState.OUTDATED: frozenset(
        {
            WorkerState.READY,
            WorkerState.CONDEMNED,
            WorkerState.DRAINING,
            WorkerState.CLOSING,
            WorkerState.KILLED,
            WorkerState.GONE,
        }
    ),
    WorkerState.CONDEMNED: frozenset({WorkerState.DRAINING, WorkerState.CLOSING, WorkerState.KILLED, WorkerState.GONE}),
    WorkerState.DRAINING: frozenset({WorkerState.CLOSING, WorkerState.KILLED, WorkerState.GONE}),
    WorkerState.CLOSING: frozenset({WorkerState.KILLED, WorkerState.GONE}),
    WorkerState.KILLED: frozenset({WorkerState.GONE}),
    WorkerState.GONE: frozenset(),
}

MASTER_MOVES: Mapping[MasterState, frozenset[MasterState]] = {
    MasterState.SERVING: frozenset(
        {MasterState.RELOADING, MasterState.LEAVING, MasterState.DRAINING, MasterState.CLOSING}
    ),
    MasterState.RELOADING: frozenset(
        {MasterState.SERVING, MasterState.LEAVING, MasterState.DRAINING, MasterState.CLOSING}
    ),
    MasterState.LEAVING: frozenset({MasterState.DRAINING, MasterState.CLOSING}),
    MasterState.DRAINING: frozenset({MasterState.CLOSING}),
    MasterState.CLOSING: frozenset(),
}

BOOTING_STATES = frozenset({WorkerState.BOOTING, WorkerState.STALE})
"""A worker in one of these loads the application."""

SERVING_STATES = frozenset({WorkerState.READY, WorkerState.OUTDATED, WorkerState.CONDEMNED})
"""A worker in one of these answers requests."""

KEPT_STATES = frozenset({WorkerState.BOOTING, WorkerState.READY})
"""A worker in one of these counts towards the number that is kept."""

ENDING_STATES = frozenset({WorkerState.DRAINING, WorkerState.CLOSING, WorkerState.KILLED})
"""A worker in one of these is expected to end."""

KEEPING_STATES = frozenset({MasterState.SERVING, MasterState.RELOADING, MasterState.LEAVING})
"""A master in one of these sees to the number of its workers."""

CHANGING_STATES = frozenset({MasterState.SERVING, MasterState.RELOADING})
"""A master in one of these is here to stay: it can be told to reload, or to end."""

State = TypeVar("State", WorkerState, MasterState)


class IllegalMove(Exception):  # noqa: N818 - it is named as the rule it breaks
    """A fault of ours: a state was left for one that its table does not have."""


def move(moves: Mapping[State, frozenset[State]], old: State, new: State) -> State:
    """`new`, when the table has it after `old`. Raises IllegalMove."""
    if new not in moves[old]:
        raise IllegalMove(f"from {old.name} to {new.name}")
    return new
