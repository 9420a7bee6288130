from __future__ import annotations

import re
import threading
from math import inf

import pytest

from ropewalk.process.worker.watchdog import (
    MAX_INTERVAL,
    MIN_INTERVAL,
    RELEASE_SECONDS,
    Overdue,
    Running,
    Watchdog,
    format_stacks,
)
from tests.helpers.processes import wait_until


def test_request_within_its_timeout_is_not_overdue() -> None:
    watchdog = Watchdog(10.0, lambda: [Running(1, "GET /", 100.0)])
    assert watchdog.find_overdue(109.9) == []


def test_overdue_request_is_found_once_with_its_thread() -> None:
    ident = threading.get_ident()
    watchdog = Watchdog(10.0, lambda: [Running(ident, "GET /", 100.0)])
    assert watchdog.find_overdue(110.0) == [Overdue(ident, 100.0, threading.current_thread().name, "GET /", 10.0)]
    assert watchdog.find_overdue(120.0) == []


def test_next_overdue_request_of_the_same_thread_is_found_too() -> None:
    running: list[Running] = [Running(1, "GET /a", 100.0)]
    watchdog = Watchdog(10.0, lambda: running)
    assert [overdue.description for overdue in watchdog.find_overdue(111.0)] == ["GET /a"]
    running[:] = [Running(1, "GET /b", 112.0)]
    assert watchdog.find_overdue(113.0) == []
    assert [overdue.description for overdue in watchdog.find_overdue(123.0)] == ["GET /b"]


def test_timeout_of_a_request_is_looked_up_only_past_the_shortest_one() -> None:
    asked: list[tuple[int, float]] = []
    own = {1: 10.0, 2: 60.0, 3: inf}

    def timeout_of(ident: int, started: float) -> float:
        asked.append((ident, started))
        return own[ident]

    watchdog = Watchdog(
        10.0,
        lambda: [Running(1, "a", 100.0), Running(2, "b", 100.0), Running(3, "c", 100.0), Running(1, "d", 105.0)],
        timeout_of,
    )
    assert watchdog.find_overdue(109.0) == []
    assert asked == []
    assert [overdue.description for overdue in watchdog.find_overdue(110.0)] == ["a"]
    assert asked == [(1, 100.0), (2, 100.0), (3, 100.0)]
    assert [overdue.description for overdue in watchdog.find_overdue(160.0)] == ["b", "d"]
    assert watchdog.find_overdue(1e6) == []


def test_request_that_keeps_its_thread_is_stuck() -> None:
    running: list[Running] = [Running(1, "GET /a", 100.0)]
    watchdog = Watchdog(10.0, lambda: running)
    watchdog.find_overdue(110.0)
    assert not watchdog.stuck_reason(110.0)
    watchdog.find_overdue(110.0 + RELEASE_SECONDS)
    assert "a request that timed out" in watchdog.stuck_reason(110.0 + RELEASE_SECONDS)
    running.clear()
    watchdog.find_overdue(120.0)
    assert not watchdog.stuck_reason(120.0)


def test_streams_that_keep_their_threads_are_stuck_only_when_no_thread_is_left() -> None:
    running = [Running(thread, "GET /events", 100.0, is_streaming=True) for thread in range(4)]
    watchdog = Watchdog(10.0, lambda: running, capacity=lambda: 4)
    late = 110.0 + RELEASE_SECONDS
    watchdog.find_overdue(110.0)
    assert not watchdog.stuck_reason(late - 0.1)
    assert "no other thread is left" in watchdog.stuck_reason(late)
    del running[0]
    watchdog.find_overdue(late)
    assert not watchdog.stuck_reason(late)


def test_one_that_cannot_be_interrupted_yet_is_tried_again_and_reported_once(capfd: pytest.CaptureFixture[str]) -> None:
    running = [Running(1, "GET /a", 100.0), Running(2, "GET /events", 100.0, is_streaming=True)]
    watchdog = Watchdog(10.0, lambda: running)
    tried: list[int] = []

    def interrupt(ident: int, started: float) -> bool:
        tried.append(ident)
        return ident == 2 or tried.count(1) == 3

    assert [each.ident for each in watchdog.interrupt_overdue(110.0, interrupt)] == [1, 2]
    for seconds in range(3):
        assert watchdog.interrupt_overdue(111.0 + seconds, interrupt) == []
    assert sorted(tried) == [1, 1, 1, 2]
    logged = capfd.readouterr().err
    assert logged.count("Worker timeout") == logged.count("\nStacks of all threads:\n") == 1
    assert logged.count("Stream timeout") == 1
    assert "GET /events has produced nothing for 10.0 s" in logged


@pytest.mark.parametrize(("timeout", "interval"), [(0.1, MIN_INTERVAL), (2.0, 0.5), (3600.0, MAX_INTERVAL)])
def test_interval_depends_on_the_timeout(timeout: float, interval: float) -> None:
    assert Watchdog(timeout, list).interval == interval


def test_stacks_have_the_name_and_the_frames_of_every_thread() -> None:
    go, there = threading.Event(), threading.Event()

    def stand_still() -> None:
        there.set()
        go.wait()

    threads = [threading.Thread(target=stand_still, name=f"standing-{number}") for number in range(3)]
    for thread in threads:
        thread.start()
    there.wait()
    names = ", ".join(
        rf"standing-\d \({thread.ident}\)" for thread in sorted(threads, key=lambda each: each.ident or 0)
    )
    wait_until(lambda: re.search(rf"^Thread {names}:$", format_stacks(), re.M), "all three at the same place")
    text = format_stacks()
    go.set()
    for thread in threads:
        thread.join()
    assert text.count("in stand_still") == 1  # one stack for threads that are at the same place
    assert "Thread MainThread" in text
