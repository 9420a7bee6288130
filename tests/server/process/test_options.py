from __future__ import annotations

import pytest

from ropewalk.process.options import MAX_HEARTBEAT, ProcessOptions


@pytest.mark.parametrize(
    ("watchdog", "heartbeat_timeout", "heartbeat"),
    [(0, 0, 0), (40, 0, 10), (0, 8, 1), (4, 800, 1), (0, 800, MAX_HEARTBEAT)],
)
def test_several_heartbeats_fit_into_each_time_that_waits_for_one(
    watchdog: float, heartbeat_timeout: float, heartbeat: float
) -> None:
    assert ProcessOptions(watchdog=watchdog, heartbeat_timeout=heartbeat_timeout).heartbeat == heartbeat
