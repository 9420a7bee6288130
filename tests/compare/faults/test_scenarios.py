"""Ropewalk under load while something goes wrong: nothing is lost, wrong or run twice.

The same scenarios as in `make faults`, shorter. Counts are asserted, never times.
"""

from __future__ import annotations

import pytest

from faults.scenarios import SCENARIOS
from faults.servers import ROPEWALK
from faults.stage import perform

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
TESTED = (
    "reload",
    "deploy",
    "upgrade",
    "scale",
    "stop",
    "stop-load",
    "kill",
    "log-full",
    "descriptors",
    "memory",
    "suspend",
    "fork",
)


@pytest.mark.parametrize("name", TESTED)
def test_nothing_is_dropped(name: str) -> None:
    result = perform(BY_NAME[name], ROPEWALK, pace=0.15)
    assert not result.not_done
    assert (result.unexpected, result.faults) == ({}, []), result.examples
    assert result.counts["answered"] > 0
