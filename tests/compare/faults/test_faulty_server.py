"""The whole harness on a server that is at fault: it must say so, and by the right name."""

from __future__ import annotations

import sys

import pytest

from faults.scenarios import SCENARIOS
from faults.servers import Server
from faults.stage import Result, perform
from tests.helpers.paths import PROGRAMS

NOTHING = next(scenario for scenario in SCENARIOS if scenario.name == "nothing")


def result_with(fault: str) -> Result:
    server = Server(
        name="faulty",
        command=(sys.executable, str(PROGRAMS / "faulty_server.py"), fault),
        version=lambda: "0",
    )
    return perform(NOTHING, server, pace=0.1)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("drop", {"closed idle", "lost"}),  # on kept connections, and on new ones
        ("drop-run", {"lost"}),
        ("reset", {"lost"}),
        ("cut", {"lost"}),
        ("another", {"wrong"}),
        ("invent", {"wrong"}),
        ("surplus", {"wrong"}),
        ("refuse", {"refused"}),
        ("twice", {"run twice"}),
    ],
)
def test_a_server_at_fault_is_found_out(fault: str, found: set[str]) -> None:
    result = result_with(fault)
    assert not result.not_done
    assert set(result.unexpected) == found
    assert not result.is_reached
    assert result.counts["answered"] > 0


def test_the_same_server_without_a_fault_is_not() -> None:
    result = result_with("none")
    assert result.is_reached, (result.unexpected, result.faults, result.not_done)
    assert result.sent == result.counts["answered"] > 0


def test_a_server_that_does_not_start_is_told() -> None:
    server = Server("absent", (sys.executable, "-c", "raise SystemExit('no such thing')"), lambda: "0")
    result = perform(NOTHING, server, pace=0.1)
    assert result.not_done == "the server did not start: no such thing"
