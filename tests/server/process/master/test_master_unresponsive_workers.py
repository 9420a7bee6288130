"""A worker that gives no sign of life: killed and replaced, unless it was the master that did not listen."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropewalk.process.master.stall_clock import LATE_SECONDS, StallClock
from ropewalk.process.options import MOST_HEARTBEAT, ProcessOptions

StartMaster = Callable[..., Any]
Ended = Callable[[int], bool]
SILENCE = 1.5


def test_a_stopped_worker_is_killed_and_replaced(start_master: StartMaster, wait_for_end: Ended) -> None:
    master = start_master(2, silence=SILENCE)
    first, second = master.workers(2)
    master.running.wait_line("Ready: 2 workers")
    os.kill(first, signal.SIGSTOP)
    master.running.wait_line(rf"Worker \(pid: {first}\) has given no sign of life for \d+ s .* and is killed")
    assert wait_for_end(first)
    third = master.workers(3)[2]
    assert int(master.answer("pid")) in (second, third)
    assert master.running.output.count("is killed") == 1


def test_a_worker_that_computes_is_not_killed(start_master: StartMaster, tmp_path: Path, wait_for_end: Ended) -> None:
    master = start_master(2, silence=SILENCE)
    workers = master.workers(2)
    master.running.wait_line("Ready: 2 workers")
    with master.ask("spin go") as connection:
        master.running.wait_line("spinning")
        computing = int(master.answer("pid"))  # or the other one: then that one is stopped, and this is left alone
        os.kill(computing, signal.SIGSTOP)
        assert wait_for_end(computing)  # so the other was not heard less for that long
        (tmp_path / "go").touch()
        answer = master.read(connection)
    assert answer == "" or int(answer) in workers
    master.running.wait_line(rf"Worker \(pid: {computing}\) .* is killed")
    assert master.running.output.count("is killed") == 1


def test_a_worker_that_is_stopped_while_it_is_outdated_does_not_hold_the_reload(
    start_master: StartMaster, tmp_path: Path
) -> None:
    master = start_master(1, silence=SILENCE)
    (old,) = master.workers(1)
    master.running.wait_line("Ready: 1 worker")
    (tmp_path / "boot").write_text("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)")
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_lines("Booting worker", 2)
    os.kill(old, signal.SIGSTOP)
    master.running.wait_line("no sign of life")
    (tmp_path / "go").touch()
    master.running.wait_line("Reloaded: 1 worker")


def test_a_master_that_was_stopped_itself_kills_nobody(start_master: StartMaster, wait_for_end: Ended) -> None:
    master = start_master(2, silence=SILENCE)
    workers = master.workers(2)
    master.running.wait_line("Ready: 2 workers")
    other = start_master(1, silence=2 * SILENCE)
    (clock,) = other.workers(1)
    other.running.wait_line("Ready: 1 worker")
    for pid in (master.running.pid, *workers):
        os.kill(pid, signal.SIGSTOP)
    os.kill(clock, signal.SIGSTOP)
    assert wait_for_end(clock)  # a time in which these would have been killed, had their master been there
    os.kill(master.running.pid, signal.SIGCONT)
    master.running.send_signal(signal.SIGTTIN)
    master.running.wait_line("Workers wanted: 3")  # it is there, and they are not yet
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    assert int(master.answer("pid")) in master.workers(3)
    assert "is killed" not in master.running.output


def test_silence_counts_from_when_the_master_listens() -> None:
    attention = StallClock(100.0)
    attention.wait(100.0, 5.0)
    attention.wake(105.0)
    assert attention.silence(105.0, 101.0) == 4.0
    attention.wait(105.0, 5.0)
    attention.wake(110.0 + LATE_SECONDS + 1)
    assert attention.silence(120.0, 101.0) == 120.0 - (111.0 + LATE_SECONDS)


def test_a_turn_that_took_long_counts_as_well() -> None:
    attention = StallClock(100.0)
    attention.wait(100.0, None)
    attention.wake(500.0)  # an event came; before, there was nothing to do
    assert attention.silence(500.0, 450.0) == 50.0
    attention.wait(500.0 + LATE_SECONDS + 1, 1.0)
    assert attention.silence(502.0, 450.0) == 1.0 - LATE_SECONDS + 0.0


@pytest.mark.parametrize(
    ("watchdog", "silence", "heartbeat"),
    [(0, 0, 0), (40, 0, 10), (0, 8, 1), (4, 800, 1), (0, 800, MOST_HEARTBEAT)],
)
def test_signs_of_life_come_several_times_in_what_waits_for_them(
    watchdog: float, silence: float, heartbeat: float
) -> None:
    assert ProcessOptions(watchdog=watchdog, silence=silence).heartbeat == heartbeat
