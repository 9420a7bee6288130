from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ropewalk.threads.thread_stats import TaskStat, ThreadStats

WaitFor = Callable[[Callable[[], object], str], None]


@contextmanager
def running(target: Callable[[threading.Event], object]) -> Iterator[int]:
    """A thread that runs `target` until the end of the block; its native id."""
    end = threading.Event()
    thread = threading.Thread(target=target, args=(end,))
    thread.start()
    try:
        assert thread.native_id is not None
        yield thread.native_id
    finally:
        end.set()
        thread.join()


def compute(end: threading.Event) -> None:
    while not end.is_set():
        sum(range(1000))


def sleep(end: threading.Event) -> None:
    end.wait()


def test_a_thread_that_computes_is_runnable_and_its_time_grows(wait_for: WaitFor) -> None:
    with running(compute) as native_id:
        gauge = TaskStat(native_id)
        before = gauge.runnable_seconds()
        wait_for(gauge.is_runnable, "a runnable thread")
        wait_for(lambda: gauge.runnable_seconds() > before + 0.01, "work")
        gauge.close()


def test_a_thread_that_sleeps_is_not(wait_for: WaitFor) -> None:
    with running(sleep) as native_id:
        gauge = TaskStat(native_id)
        wait_for(lambda: not gauge.is_runnable(), "a sleeping thread")
        before = gauge.runnable_seconds()
        assert gauge.runnable_seconds() == before
        gauge.close()


def test_threads_of_each_kind_are_counted_together(wait_for: WaitFor) -> None:
    with running(compute) as one, running(sleep) as other:
        gauges = ThreadStats()
        gauges.add(one)
        gauges.add(other)
        wait_for(gauges.is_working, "work")
        assert gauges.work_seconds() > 0
        gauges.close()


def test_without_statistics_of_threads_cpu_time_is_used() -> None:
    gauges = ThreadStats()
    gauges.add(0)  # no such thread
    assert not gauges.is_working()
    assert gauges.work_seconds() <= time.process_time()
