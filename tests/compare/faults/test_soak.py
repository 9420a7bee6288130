"""The soak: what counts as drift, and a short run of it that passes and one that does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from faults.soak.__main__ import internal_errors
from faults.soak.footprint import ALLOWED_BLOCKS, ALLOWED_KIB, Footprint, InUse, drift, measure

IDLE = Footprint(processes=3, resident_kib=40_000, descriptors=40, threads=20, spool_files=0)


IN_USE = [InUse(8_000, 130_000), InUse(8_000 + ALLOWED_KIB, 130_000 + ALLOWED_BLOCKS)]


def resident(values: Iterable[int]) -> list[Footprint]:
    return [IDLE._replace(resident_kib=value) for value in values]


def test_an_equal_footprint_is_no_drift() -> None:
    assert drift([IDLE, IDLE._replace(descriptors=90), IDLE._replace(resident_kib=90_000)], IN_USE) == []


@pytest.mark.parametrize(
    ("last", "line"),
    [
        (IDLE._replace(descriptors=41), "descriptors: 40 at first, 41 at the end"),
        (IDLE._replace(threads=21), "threads: 20 at first"),
        (IDLE._replace(processes=4), "processes: 3 at first"),
        (IDLE._replace(spool_files=1), "spool files: 0 at first"),
    ],
)
def test_growth_is_drift(last: Footprint, line: str) -> None:
    (found,) = drift([IDLE, last], IN_USE)
    assert found.startswith(line)


def test_spool_files_that_stay_are_found_though_they_do_not_grow() -> None:
    found = drift([IDLE._replace(spool_files=2)] * 2, IN_USE)
    assert found == ["spool files: 2 are open while nothing is in flight"]


@pytest.mark.parametrize(
    ("last", "line"),
    [
        (InUse(8_001 + ALLOWED_KIB, 130_000), "memory in use: 8000 KiB at first, 12097 KiB at the end"),
        (InUse(8_000, 130_001 + ALLOWED_BLOCKS), "objects in use: 130000 at first, 132001 at the end"),
    ],
)
def test_memory_in_use_that_grows_is_a_leak_in_a_run_of_any_length(last: InUse, line: str) -> None:
    assert drift([IDLE, IDLE], [InUse(8_000, 130_000), last]) == [line]


def test_resident_memory_that_rises_to_a_level_is_no_leak() -> None:
    rise = [90_000, 110_000, 120_000, 126_000, 130_000, 133_000]
    level = [135_000, 131_000, 138_000, 134_000, 139_000, 136_000] * 2
    assert drift(resident(rise + level), IN_USE) == []


def test_resident_memory_that_rises_to_the_end_is_found() -> None:
    (found,) = drift(resident(range(90_000, 180_000, 5_000)), IN_USE)
    assert found == "resident memory: 132500 KiB in the middle third, 162500 KiB in the last one"


def test_a_few_samples_of_resident_memory_are_not_judged() -> None:
    assert drift(resident(range(90_000, 140_000, 10_000)), IN_USE) == []


def test_the_footprint_of_this_process(tmp_path: Path) -> None:
    before = measure([os.getpid()])
    path = tmp_path / "spool"
    with path.open("wb"):
        path.unlink()
        after = measure([os.getpid()])
    assert before.processes == 1
    assert after.spool_files == before.spool_files + 1
    assert after.descriptors == before.descriptors + 1
    assert before.resident_kib > 1000
    assert measure([2**22 + 1]) == Footprint(0, 0, 0, 0, 0)


def test_exceptions_in_the_log_are_found() -> None:
    log = (
        "[1] [ERROR] internal error\nTraceback (most recent call last):\n  File x\n    y()\nRuntimeError: x\n[1] next\n"
    )
    assert internal_errors(log) == ["1 exceptions in the log", "RuntimeError: x"]
    assert internal_errors("[1] [ERROR] Worker (pid: 2) was killed by SIGKILL\n") == []


COMPARE = Path(__file__).parents[3] / "compare"


def soak(minutes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "faults.soak", "--minutes", minutes]
    return subprocess.run(command, cwd=COMPARE, capture_output=True, text=True, check=False)


def test_a_short_soak_passes() -> None:
    done = soak("0.15")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "soak: passed" in done.stdout


def test_minutes_are_checked() -> None:
    done = soak("0")
    assert done.returncode == 2
    assert "--minutes=0: must be" in done.stderr
