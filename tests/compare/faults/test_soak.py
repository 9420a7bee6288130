"""The soak: what counts as drift, and a short run of it that passes and one that does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from faults.soak.footprint import ALLOWED_KIB, Footprint, drift, measure

IDLE = Footprint(processes=3, resident_kib=40_000, descriptors=40, threads=20, spool_files=0)


def test_an_equal_footprint_is_no_drift() -> None:
    assert drift([IDLE, IDLE._replace(descriptors=90), IDLE._replace(resident_kib=40_000 + ALLOWED_KIB)]) == []


@pytest.mark.parametrize(
    ("last", "line"),
    [
        (IDLE._replace(resident_kib=40_001 + ALLOWED_KIB), "memory: 40000 KiB at first"),
        (IDLE._replace(descriptors=41), "descriptors: 40 at first, 41 at the end"),
        (IDLE._replace(threads=21), "threads: 20 at first"),
        (IDLE._replace(processes=4), "processes: 3 at first"),
        (IDLE._replace(spool_files=1), "spool files: 0 at first"),
    ],
)
def test_growth_is_drift(last: Footprint, line: str) -> None:
    (found,) = drift([IDLE, last])
    assert found.startswith(line)


def test_spool_files_that_stay_are_found_though_they_do_not_grow() -> None:
    assert drift([IDLE._replace(spool_files=2)] * 2) == ["spool files: 2 are open while nothing is in flight"]


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
