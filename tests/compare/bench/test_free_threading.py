from __future__ import annotations

import sys

import pytest

from bench import free_threading
from bench.servers import Start


def test_an_interpreter_with_a_gil_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.free_threading", "--python", "/bin/false"])
    assert free_threading.main() == 2
    assert capsys.readouterr().err == "bench.free_threading: --python /bin/false: not a free-threaded interpreter\n"


def test_one_process_without_the_gil_is_compared_with_one_per_cpu() -> None:
    start = Start("hello", "127.0.0.1:1")
    free = free_threading.server("python3.13t", free_threading.FREE).command(start)
    locked = free_threading.server("python3.13t", free_threading.LOCKED).command(start)
    assert (free[2], free[-1]) == ("gil=0", "1")
    assert (locked[2], locked[-1]) == ("gil=1", str(len(free_threading.CPUS)))
    alone = free_threading.server("python3.13t", free_threading.NO_MASTER).command(start)
    assert alone[2] == "gil=0"
    assert alone[-3:] == ["bench.applications.hello", "127.0.0.1:1", "8"]


def test_ratios_are_of_the_same_round(capsys: pytest.CaptureFixture[str]) -> None:
    free = [{"rate": rate, "rate_cpu": 1.0, "cores": 1.0, "p99": 1.0, "memory": 1.0} for rate in (10.0, 100.0)]
    locked = [{"rate": rate, "rate_cpu": 1.0, "cores": 1.0, "p99": 1.0, "memory": 2.0} for rate in (20.0, 200.0)]
    free_threading.print_samples("hello", {free_threading.FREE: free, free_threading.LOCKED: locked})
    printed = capsys.readouterr().out
    assert "rate 0.50 (0.50 - 0.50) times" in printed
    assert "memory 0.50 (0.50 - 0.50) times" in printed
