"""The page about the cost of a request."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from bench.paths import COMPARE
from bench.profile import __main__ as page
from bench.profile import builds, functions, hops, syscalls
from bench.scenarios import Scenario
from bench.server_process import StartError
from tests.helpers.paths import REPOSITORY


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """System calls per request, by server; a server that is not in it cannot be counted."""
    found = {"granian": 2.5, "bjoern": 4.0}

    def count(name: str, connections: int, environ: dict[str, str]) -> syscalls.Calls:
        if name not in found:
            raise StartError("no response")
        return syscalls.Calls(found[name], [("recvfrom", 1.0), ("futex", 0.001)], is_traced=name == "bjoern")

    monkeypatch.setattr(syscalls, "count", count)
    monkeypatch.setattr(page, "missing_servers", lambda: {"granian": "no compiler"})
    return found


def test_system_calls_are_judged_and_servers_that_cannot_be_counted_are_named(counted: dict[str, float]) -> None:
    counted["ropewalk"] = 3.0
    text = page.system_calls_region()
    assert "✓ met" in text
    assert "| ropewalk         | 3.00              | recvfrom 1.00 |" in text
    assert "no response" in text  # gunicorn
    assert "no compiler" in text
    assert "strace counted them" in text
    counted["ropewalk"] = 4.5
    assert "✗ missed" in page.system_calls_region()
    del counted["ropewalk"]
    assert "**not measured**" in page.system_calls_region()


def test_a_request_is_measured_hop_by_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> None:
        pass

    kept: list[object] = []
    monkeypatch.setattr(hops, "REQUESTS", 3)
    monkeypatch.setattr(hops, "connect", lambda request: hops.Hops(nothing, lambda: bytes(5000), nothing))
    text = page.hops_region() + page.memory_region()
    assert text.count("| Host alone") == 2
    assert "0.00" in text
    peak, blocks = hops.memory(hops.Hops(nothing, lambda: kept.append(object()), nothing))
    assert blocks >= 1
    assert peak < 5000
    assert hops.memory(hops.Hops(nothing, lambda: bytes(5000), nothing))[0] >= 5000


def test_the_hops_are_those_of_a_real_service() -> None:
    command = [sys.executable, "-m", "bench.profile.hops", "--browser"]
    done = subprocess.run(command, cwd=COMPARE, capture_output=True, text=True, check=False)
    assert re.search(r"receive [\d.]+, run [\d.]+, send [\d.]+, sum [\d.]+$", done.stdout, re.MULTILINE), done.stderr
    assert done.stdout.endswith("objects left to the garbage collector: 0.0 per request\n")


def test_functions_are_listed_or_the_reason_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [("run (a/b.py)", 0.5), ("run (c.py)", 0.25), ("A.run (a/d/e.py)", 0.125)]
    monkeypatch.setattr(functions, "shares", lambda name, scenario: found)
    region = page.functions_region()
    assert "| 50.0% | `run (a/b.py)`     |" in region
    assert region.index("| 62.5% | `a`     |") < region.index("| 25.0% | `c`     |")

    def refuse(name: str, scenario: Scenario) -> list[tuple[str, float]]:
        raise functions.ProfileError("py-spy: not permitted")

    monkeypatch.setattr(functions, "shares", refuse)
    assert "Not measured: py-spy: not permitted" in page.functions_region()


def test_folded_stacks_count_for_the_innermost_function() -> None:
    folded = "a (x.py:1);b (x.py:9) 3\na (x.py:1) 2\na (x.py:1);b (x.py:9);a (x.py:1) 1\n"
    assert functions.own_time(folded) == {"b (x.py)": 3, "a (x.py)": 3}


def test_builds_are_compared_row_by_row() -> None:
    def run(*builds: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bench.profile.builds", "--processes", "1", *builds]
        return subprocess.run(command, cwd=COMPARE, capture_output=True, text=True, check=False)

    done = run(f"one={REPOSITORY / 'server'}")
    for row in builds.ROWS:
        assert re.search(rf"^\| {row} +\| [\d.]+ \([\d.]+ to [\d.]+\) +\|$", done.stdout, re.MULTILINE), done.stderr
    assert "ERROR" not in done.stderr  # the server's, about an application that fails
    done = run("none=/none")
    assert (done.returncode, done.stderr) == (2, "bench.profile.builds: none=/none: no folder ropewalk is there\n")
