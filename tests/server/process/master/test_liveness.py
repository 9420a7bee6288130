"""Workers that send no heartbeat: killed and replaced, unless it was the master, or the machine, that stood still."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ropewalk.process.ipc.reports import ReportReader
from ropewalk.process.master.liveness import Liveness
from ropewalk.process.master.stall_clock import StallClock
from ropewalk.process.master.stats import MasterStats
from ropewalk.process.master.worker_handle import WorkerHandle
from ropewalk.process.master.workers import Workers
from ropewalk.process.options import ProcessOptions
from ropewalk.process.states import WorkerState
from ropewalk.process.system.sd_notify import Notifier

StartMaster = Callable[..., Any]
Ended = Callable[[int], bool]
TIMEOUT = 3.0
"""Seconds. Long enough that a machine that stalls, or is busy with other tests, lets a heartbeat through meanwhile."""


def test_stopped_worker_is_killed_and_replaced(start_master: StartMaster, wait_for_end: Ended) -> None:
    master = start_master(2, heartbeat_timeout=TIMEOUT)
    first, second = master.workers(2)
    master.running.wait_line("Ready: 2 workers")
    os.kill(first, signal.SIGSTOP)
    master.running.wait_line(rf"Worker \(pid: {first}\) unresponsive for \d+ s .*; killing it")
    assert wait_for_end(first)
    third = master.workers(3)[2]
    assert int(master.answer("pid")) in (second, third)
    assert master.running.output.count("killing it") == 1


def test_worker_that_computes_is_not_killed(start_master: StartMaster, tmp_path: Path, wait_for_end: Ended) -> None:
    master = start_master(2, heartbeat_timeout=TIMEOUT)
    workers = master.workers(2)
    master.running.wait_line("Ready: 2 workers")
    with master.ask("spin go") as connection:
        master.running.wait_line("spinning")
        stopped = int(master.answer("pid"))  # the computing worker or the other one
        os.kill(stopped, signal.SIGSTOP)
        assert wait_for_end(stopped)  # for as long as that took, the other worker was not killed
        (tmp_path / "go").touch()
        answer = master.read(connection)
    assert answer == "" or int(answer) in workers
    master.running.wait_line(rf"Worker \(pid: {stopped}\) .*; killing it")
    assert master.running.output.count("killing it") == 1


def test_worker_that_is_stopped_while_it_is_outdated_does_not_block_the_reload(
    start_master: StartMaster, tmp_path: Path
) -> None:
    master = start_master(1, heartbeat_timeout=TIMEOUT)
    (old,) = master.workers(1)
    master.running.wait_line("Ready: 1 worker")
    (tmp_path / "boot").write_text("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)")
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_lines("Booting worker", 2)
    os.kill(old, signal.SIGSTOP)
    master.running.wait_line("unresponsive for")
    (tmp_path / "go").touch()
    master.running.wait_line("Reloaded: 1 worker")


def test_master_that_was_stopped_itself_kills_no_worker(start_master: StartMaster, wait_for_end: Ended) -> None:
    master = start_master(2, heartbeat_timeout=TIMEOUT)
    workers = master.workers(2)
    master.running.wait_line("Ready: 2 workers")
    other = start_master(1, heartbeat_timeout=2 * TIMEOUT)
    (clock,) = other.workers(1)
    other.running.wait_line("Ready: 1 worker")
    for pid in (master.running.pid, *workers):
        os.kill(pid, signal.SIGSTOP)
    os.kill(clock, signal.SIGSTOP)
    assert wait_for_end(clock)  # in that time these would have been killed, had their master been running
    os.kill(master.running.pid, signal.SIGCONT)
    master.running.send_signal(signal.SIGTTIN)
    master.running.wait_line("Number of workers set to 3")  # the master runs, and its workers do not yet
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    assert int(master.answer("pid")) in master.workers(3)
    assert "killing it" not in master.running.output


@pytest.fixture
def handle() -> Iterator[WorkerHandle]:
    reading_end, writing_end = os.pipe()
    handle = WorkerHandle(0, ReportReader(reading_end), started=0.0)
    handle.move(WorkerState.READY)
    yield handle
    handle.release()
    os.close(writing_end)


@pytest.mark.parametrize("heartbeat_timeout", [3.0, 6.0, 35.0, 3605.0])
def test_no_stall_of_the_machine_makes_workers_unresponsive(handle: WorkerHandle, heartbeat_timeout: float) -> None:
    """However long it lasts, about as long as the timeout too: a worker then has the time of a heartbeat left."""
    options = ProcessOptions(heartbeat_timeout=heartbeat_timeout)
    workers = Workers()
    workers.add(handle)
    handle.last_report = 1000.0
    for stall in (heartbeat_timeout * step / 64 for step in range(256)):
        liveness = Liveness(workers, MasterStats(), Notifier())
        asleep = handle.last_report + options.heartbeat  # its next heartbeat was due when everything stood still
        liveness.clock = StallClock(asleep)
        liveness.clock.before_wait(asleep, min(liveness.deadlines(options, asleep)) - asleep)
        awake = asleep + stall
        liveness.clock.after_wait(awake)
        assert liveness.clock.silence(awake, handle.last_report) < heartbeat_timeout - options.heartbeat
