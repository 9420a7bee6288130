"""The state tables of workers and of the master."""

from __future__ import annotations

import pytest

from ropewalk.process.states import (
    CURRENT_STATES,
    EXITING_STATES,
    MASTER_MOVES,
    SERVING_STATES,
    WORKER_MOVES,
    IllegalMove,
    MasterState,
    WorkerState,
    move,
)


def test_every_state_has_a_row() -> None:
    assert set(WORKER_MOVES) == set(WorkerState)
    assert set(MASTER_MOVES) == set(MasterState)


def test_allowed_move_gives_the_new_state() -> None:
    assert move(WORKER_MOVES, WorkerState.BOOTING, WorkerState.READY) is WorkerState.READY


def test_other_move_raises() -> None:
    with pytest.raises(IllegalMove, match="from DRAINING to READY"):
        move(WORKER_MOVES, WorkerState.DRAINING, WorkerState.READY)


def test_worker_may_be_gone_after_any_state_and_is_gone_for_good() -> None:
    alive = set(WorkerState) - {WorkerState.GONE}
    assert all(WorkerState.GONE in WORKER_MOVES[state] for state in alive)
    assert not WORKER_MOVES[WorkerState.GONE]


def test_no_state_is_both_current_and_exiting() -> None:
    assert not CURRENT_STATES & EXITING_STATES
    assert not SERVING_STATES & EXITING_STATES
