"""The whole harness on a server with a known fault: it must find the fault and name it."""

from __future__ import annotations

import sys

import pytest

from faults.run.scenario import Result, run_scenario
from faults.run.servers import Server
from faults.scenarios import SCENARIOS
from tests.helpers.paths import PROGRAMS

BASELINE = SCENARIOS[0]


def result_with(fault: str) -> Result:
    server = Server(
        name="faulty",
        command=(sys.executable, str(PROGRAMS / "faulty_server.py"), fault),
        version=lambda: "0",
    )
    return run_scenario(BASELINE, server, pace=0.1)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("drop", {"idle close", "lost"}),  # on keep-alive connections, and on new ones
        ("drop-run", {"lost"}),
        ("reset", {"lost"}),
        ("cut", {"lost"}),
        ("another", {"wrong"}),
        ("invent", {"wrong"}),
        ("surplus", {"wrong"}),
        ("refuse", {"error response"}),
        ("twice", {"duplicated"}),
    ],
)
def test_a_faulty_server_is_found_out(fault: str, found: set[str]) -> None:
    result = result_with(fault)
    assert not result.skipped
    assert set(result.unexpected) == found
    assert not result.has_passed
    assert result.counts["completed"] > 0


def test_the_same_server_without_a_fault_passes() -> None:
    result = result_with("none")
    assert result.has_passed, (result.unexpected, result.failures, result.skipped)
    assert result.sent == result.counts["completed"] > 0


def test_a_server_that_does_not_start_is_skipped() -> None:
    server = Server("absent", (sys.executable, "-c", "raise SystemExit('no such thing')"), lambda: "0")
    result = run_scenario(BASELINE, server, pace=0.1)
    assert result.skipped == "the server did not start: no such thing"
