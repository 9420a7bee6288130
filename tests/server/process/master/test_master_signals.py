"""HUP, USR1, TTIN and TTOU to a running master, around a fake service."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

StartMaster = Callable[..., Any]
Ended = Callable[[int], bool]


def test_ttin_and_ttou_change_the_number_of_workers(start_master: StartMaster, wait_for_end: Ended) -> None:
    master = start_master(1)
    (first,) = master.workers(1)
    master.running.send_signal(signal.SIGTTIN)
    second = master.workers(2)[1]
    master.running.wait_line("Ready: 2 workers")
    master.running.send_signal(signal.SIGTTOU)
    assert wait_for_end(first)  # the oldest one is removed
    assert master.answer("pid") == str(second)


def test_ttou_keeps_the_last_worker(start_master: StartMaster) -> None:
    master = start_master(1)
    (worker,) = master.workers(1)
    master.running.send_signal(signal.SIGTTOU)
    master.running.wait_line("Number of workers set to 1")
    assert master.answer("pid") == str(worker)


def test_worker_that_ttou_removes_finishes_its_requests(
    start_master: StartMaster, tmp_path: Path, wait_for_end: Ended
) -> None:
    master = start_master(2)
    workers = master.workers(2)
    connections = [master.ask("wait go") for _ in range(4)]
    master.running.wait_lines("waiting", 4)
    master.running.send_signal(signal.SIGTTOU)
    master.running.wait_line("Number of workers set to 1")
    (tmp_path / "go").touch()
    assert all(int(master.read(connection)) in workers for connection in connections)
    for connection in connections:
        connection.close()
    gone = int(master.running.wait_line(r"Worker exiting \(pid: (\d+)\)")[1])
    assert wait_for_end(gone)
    workers.remove(gone)
    assert [int(master.answer("pid"))] == workers


def test_hup_drains_a_worker_only_when_its_successor_is_ready(
    start_master: StartMaster, tmp_path: Path, wait_for_end: Ended
) -> None:
    master = start_master(2)
    old = master.workers(2)
    with master.ask("wait go") as connection:
        master.running.wait_line("waiting")
        master.running.send_signal(signal.SIGHUP)
        new = master.workers(4)[2:]
        master.running.wait_line("Reloaded: 2 workers")
        (tmp_path / "go").touch()
        assert int(master.read(connection)) in old
    assert all(wait_for_end(worker) for worker in old)
    assert int(master.answer("pid")) in new
    exits = [match.start() for match in master.running.wait_lines("program closed", 2)]
    ready = [match.start() for match in master.running.wait_lines("Worker ready", 4)]
    assert exits[0] > ready[2]
    assert "Reload failed" not in master.running.output


def test_reload_with_a_worker_that_cannot_boot_keeps_the_old_ones(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(2)
    old = master.workers(2)
    (tmp_path / "boot").write_text("1 / 0")
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_line("Reload failed; keeping the old workers: fake='1 / 0': cannot be divided")
    assert int(master.answer("pid")) in old
    # It was a single attempt: nothing is forked until the next HUP, and that does not wait.
    (tmp_path / "boot").unlink()
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_line("Reloaded: 2 workers")
    assert len(master.running.wait_lines("Booting worker", 5)) == 5
    assert master.running.output.count("Booting worker") == 5


def test_reload_with_a_worker_that_dies_at_once_keeps_the_old_ones(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(2)
    old = master.workers(2)
    (tmp_path / "boot").write_text("import os; os._exit(7)")
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_line("Reload failed.*: a new worker exited with status 7")
    assert int(master.answer("pid")) in old


def test_reload_with_bad_settings_changes_nothing(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    (tmp_path / "reload").write_text("many")
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_line("Reload failed.*: reload='many': must be a number")
    assert master.answer("pid") == str(old)


@pytest.mark.parametrize("number", ["1", "3"])
def test_reload_may_change_the_number_of_workers(
    start_master: StartMaster, tmp_path: Path, wait_for_end: Ended, number: str
) -> None:
    master = start_master(2)
    old = master.workers(2)
    (tmp_path / "reload").write_text(number)
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_line(f"Reloaded: {number} worker")
    assert all(wait_for_end(worker) for worker in old)


def test_number_of_workers_set_by_ttin_outlasts_a_reload_that_does_not_change_it(
    start_master: StartMaster, tmp_path: Path
) -> None:
    master = start_master(1)
    master.workers(1)
    master.running.send_signal(signal.SIGTTIN)
    master.running.wait_line("Ready: 2 workers")
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_line("Reloaded: 2 workers")
    (tmp_path / "reload").write_text("3")
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_line("Reloaded: 3 workers")


def test_number_of_workers_of_a_failed_reload_is_discarded(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(1)
    master.workers(1)
    (tmp_path / "reload").write_text("3")
    (tmp_path / "boot").write_text("1 / 0")
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_line("Reload failed")
    (tmp_path / "boot").unlink()
    master.running.send_signal(signal.SIGTTIN)
    master.running.wait_line("Number of workers set to 2")
    master.running.wait_line("Ready: 2 workers")


def test_hup_during_a_reload_starts_it_again(start_master: StartMaster, tmp_path: Path, wait_for_end: Ended) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    (tmp_path / "boot").write_text("print('hangs', flush=True); import threading; threading.Event().wait()")
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_line("hangs")
    assert master.answer("pid") == str(old)
    (tmp_path / "boot").unlink()
    master.running.send_signal(signal.SIGHUP)
    new = master.workers(2)[1]
    master.running.wait_line("Reloaded: 1 worker")
    assert wait_for_end(old)
    assert master.answer("pid") == str(new)


def test_term_during_a_reload_stops_the_server(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(2)
    master.workers(2)
    (tmp_path / "boot").write_text("print('hangs', flush=True); import threading; threading.Event().wait()")
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_line("hangs")
    master.running.send_signal(signal.SIGTERM)
    assert master.running.wait_exit() == 0
    assert "killing it" not in master.running.output


def test_usr1_reopens_the_logs_of_master_and_workers(start_master: StartMaster) -> None:
    master = start_master(2)
    pids = [master.running.pid, *master.workers(2)]
    master.running.wait_line("Ready: 2 workers")
    master.running.send_signal(signal.SIGUSR1)
    for pid in pids:
        master.running.wait_line(f"reopened by {pid}\n")


def test_usr1_reaches_a_worker_that_was_booting(start_master: StartMaster, tmp_path: Path) -> None:
    (tmp_path / "boot").write_text(
        "print('boots', flush=True)\nimport os, time\nwhile not os.path.exists('go'): time.sleep(0.01)"
    )
    master = start_master(1)
    master.running.wait_line("boots")
    master.running.send_signal(signal.SIGUSR1)
    master.running.wait_line(f"reopened by {master.running.pid}\n")
    (tmp_path / "go").touch()
    (worker,) = master.workers(1)
    master.running.wait_line(f"reopened by {worker}\n")


def test_usr1_reaches_a_worker_that_drains(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    with master.ask("wait go") as connection:
        master.running.wait_line("waiting")
        master.running.send_signal(signal.SIGHUP)
        master.running.wait_line("Reloaded: 1 worker")
        master.running.send_signal(signal.SIGUSR1)
        master.running.wait_line(f"reopened by {old}\n")
        (tmp_path / "go").touch()
        assert master.read(connection) == str(old)


def test_stuck_worker_is_replaced_during_a_reload_too(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(1, timeout=0.2, graceful_timeout=0.2)
    (stuck,) = master.workers(1)
    (tmp_path / "boot").write_text("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)")
    master.running.send_signal(signal.SIGHUP)
    with master.ask("wait never"):
        master.running.wait_line(f"Worker .pid: {stuck}. is being replaced")
        (tmp_path / "go").touch()
        master.running.wait_line("Reloaded: 1 worker")
        assert os.path.exists(tmp_path / "go")
