"""Workers that send no heartbeat: killed and replaced, unless it was the master that stood still."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

StartMaster = Callable[..., Any]
Ended = Callable[[int], bool]
TIMEOUT = 1.5


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
