"""What a master shows of itself."""

from __future__ import annotations

import os
from typing import Any, cast

import pytest

from ropewalk.process.master.stats import MasterStats
from ropewalk.process.master.worker_handle import WorkerHandle
from ropewalk.process.master.workers import Workers
from ropewalk.process.states import MasterState, WorkerState


@pytest.mark.parametrize(
    ("state", "is_ready"),
    [
        (MasterState.SERVING, True),
        (MasterState.RELOADING, True),
        (MasterState.HANDING_OVER, True),  # at the same addresses, the new master follows
        (MasterState.STOPPING, False),
        (MasterState.DRAINING, False),
        (MasterState.CLOSING, False),
    ],
)
def test_a_master_is_ready_as_long_as_requests_should_come_to_its_addresses(state: MasterState, is_ready: bool) -> None:
    worker = WorkerHandle(os.getpid(), cast("Any", None), 0.0)
    worker.move(WorkerState.READY)
    workers, stats = Workers(), MasterStats()
    workers.add(worker)
    stats.has_been_ready = True
    upgrade: Any = {"predecessor": 0, "successor": 0, "successor_ready": False, "last_failure": ""}
    assert stats.status(state, 1, workers, upgrade)["ready"] is is_ready
