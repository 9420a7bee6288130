from __future__ import annotations

import sys

import pytest

from bench import freethreaded
from bench.backends import Start


def test_an_interpreter_with_a_gil_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.freethreaded", "--python", "/bin/false"])
    assert freethreaded.main() == 2
    assert capsys.readouterr().err == "bench.freethreaded: --python /bin/false: not a free-threaded interpreter\n"


def test_one_process_without_the_gil_is_compared_with_one_a_processor() -> None:
    start = Start("hello", "127.0.0.1:1")
    free = freethreaded.backend("python3.13t", freethreaded.FREE).command(start)
    locked = freethreaded.backend("python3.13t", freethreaded.LOCKED).command(start)
    assert (free[2], free[-1]) == ("gil=0", "1")
    assert (locked[2], locked[-1]) == ("gil=1", str(len(freethreaded.PROCESSORS)))
    alone = freethreaded.backend("python3.13t", freethreaded.ALONE).command(start)
    assert alone[2] == "gil=0"
    assert alone[-3:] == ["hello", "127.0.0.1:1", "8"]


def test_ratios_are_of_the_same_round(capsys: pytest.CaptureFixture[str]) -> None:
    free = [{"rate": rate, "rate_cpu": 1.0, "cores": 1.0, "p99": 1.0, "memory": 1.0} for rate in (10.0, 100.0)]
    locked = [{"rate": rate, "rate_cpu": 1.0, "cores": 1.0, "p99": 1.0, "memory": 2.0} for rate in (20.0, 200.0)]
    freethreaded.tell("hello", {freethreaded.FREE: free, freethreaded.LOCKED: locked})
    told = capsys.readouterr().out
    assert "rate 0.50 (0.50 - 0.50) times" in told
    assert "memory 0.50 (0.50 - 0.50) times" in told
