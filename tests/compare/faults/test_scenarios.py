"""Ropewalk under load while a fault is injected: no request is lost, wrong or duplicated.

The scenarios of `make faults`, shorter. They assert counts, never times.
"""

from __future__ import annotations

import pytest

from faults.run.scenario import run_scenario
from faults.run.servers import ROPEWALK
from faults.scenarios import SCENARIOS

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
TESTED = (
    "reload",
    "broken-deploy",
    "upgrade",
    "scale",
    "stop",
    "stop-under-load",
    "kill",
    "disk-full",
    "descriptors",
    "memory",
    "suspend",
    "fork",
    "streams",
    "stuck-reload",
    "interrupted-logging",
    "fork-exit",
    "idle-connections",
    "slow-streams",
    "unfinished-bodies",
    "slow-readers",
)


@pytest.mark.parametrize("name", TESTED)
def test_nothing_is_dropped(name: str) -> None:
    result = run_scenario(BY_NAME[name], ROPEWALK, pace=0.15)
    assert not result.skipped
    assert (result.unexpected, result.failures) == ({}, []), result.examples
    assert result.counts["completed"] > 0
