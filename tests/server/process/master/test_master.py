"""Master and workers as real processes, around a fake service."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

StartMaster = Callable[..., Any]


def test_every_worker_becomes_ready(start_master: StartMaster) -> None:
    master = start_master(3)
    workers = master.workers(3)
    master.running.wait_line("Ready: 3 workers")
    assert int(master.answer("pid")) in workers
    assert len(set(workers)) == 3


def test_term_finishes_requests_in_flight(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master()
    master.workers(1)
    connection = master.ask("wait go")
    master.running.wait_line("waiting")
    master.running.send_signal(signal.SIGTERM)
    master.running.wait_line("Handling signal: term")
    (tmp_path / "go").touch()
    assert master.read(connection).isdigit()
    connection.close()
    assert master.running.wait_exit() == 0
    assert "master ends" in master.running.output
    assert "program closed" in master.running.output
    assert not master.has_traceback()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_do_not_wait_for_requests_in_flight(start_master: StartMaster, number: signal.Signals) -> None:
    master = start_master(2)
    master.workers(2)
    with master.ask("wait never"):
        master.running.wait_line("waiting")
        master.running.send_signal(number)
        assert master.running.wait_exit() == 0
    assert "killing it" not in master.running.output
    assert not master.has_traceback()


def test_int_cuts_a_graceful_stop_short(start_master: StartMaster) -> None:
    master = start_master()
    master.workers(1)
    with master.ask("wait never"):
        master.running.wait_line("waiting")
        master.running.send_signal(signal.SIGTERM)
        master.running.wait_line("Handling signal: term")
        master.running.send_signal(signal.SIGINT)
        assert master.running.wait_exit() == 0
    assert "killing it" not in master.running.output


def test_requests_that_do_not_finish_in_time_are_aborted_and_counted(start_master: StartMaster) -> None:
    master = start_master(graceful_timeout=0.2)
    master.workers(1)
    with master.ask("wait never"):
        master.running.wait_line("waiting")
        master.running.send_signal(signal.SIGTERM)
        assert master.running.wait_exit() == 0
    assert "Requests aborted because they did not finish within 0.2 s: 1" in master.running.output


def test_worker_that_does_not_exit_is_killed(start_master: StartMaster) -> None:
    master = start_master(graceful_timeout=0)
    (worker,) = master.workers(1)
    os.kill(worker, signal.SIGSTOP)
    master.running.send_signal(signal.SIGTERM)
    assert master.running.wait_exit() == 0
    assert f"Worker (pid: {worker}) did not exit in time; killing it" in master.running.output


def test_killed_worker_is_replaced(start_master: StartMaster, wait_for_end: Callable[[int], bool]) -> None:
    master = start_master(2)
    first, second = master.workers(2)
    os.kill(first, signal.SIGKILL)
    third = master.workers(3)[2]
    assert third not in (first, second)
    assert wait_for_end(first)
    assert "was killed by SIGKILL" in master.running.output
    assert int(master.answer("pid")) in (second, third)


def test_workers_exit_when_the_master_is_killed(start_master: StartMaster, wait_for_end: Callable[[int], bool]) -> None:
    master = start_master(2)
    workers = master.workers(2)
    os.kill(master.running.pid, signal.SIGKILL)
    assert all(wait_for_end(worker) for worker in workers)


def test_worker_whose_master_is_killed_finishes_its_requests(
    start_master: StartMaster, tmp_path: Path, wait_for_end: Callable[[int], bool]
) -> None:
    master = start_master()
    (worker,) = master.workers(1)
    with master.ask("wait go") as connection:
        master.running.wait_line("waiting")
        os.kill(master.running.pid, signal.SIGKILL)
        master.running.wait_line("Master is gone")
        (tmp_path / "go").touch()
        assert master.read(connection) == str(worker)
    assert wait_for_end(worker)


def test_master_of_workers_that_cannot_boot_exits_with_3_and_the_reason(
    start_master: StartMaster, tmp_path: Path
) -> None:
    (tmp_path / "boot").write_text("1 / 0")
    master = start_master(3)
    assert master.running.wait_exit() == 3
    assert "boot error: fake='1 / 0': cannot be divided" in master.running.output
    # The traceback of the user's code is logged once for all three.
    assert master.running.output.count("ZeroDivisionError: division by zero") == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise SystemExit('no database')", "SystemExit: no database"),
        ("import os; os._exit(7)", "a worker exited with status 7 while it was booting"),
        ("import os; os.kill(os.getpid(), 11)", "a worker was killed by SIGSEGV while it was booting"),
    ],
)
def test_exit_of_a_booting_worker_is_explained(
    start_master: StartMaster, tmp_path: Path, script: str, reason: str
) -> None:
    (tmp_path / "boot").write_text(script)
    master = start_master()
    assert master.running.wait_exit() == 3
    assert f"boot error: {reason}" in master.running.output


def test_worker_that_cannot_boot_later_is_forked_again_until_it_can(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(2)
    first, second = master.workers(2)
    (tmp_path / "boot").write_text("1 / 0")
    os.kill(first, signal.SIGKILL)
    master.running.wait_lines("exited with status 3 .fake='1 / 0': cannot be divided.; starting another in", 2)
    assert int(master.answer("pid")) == second
    (tmp_path / "boot").unlink()
    third = master.workers(3)[2]
    assert int(master.answer("pid")) in (second, third)


def test_term_stops_a_master_whose_worker_is_booting(start_master: StartMaster, tmp_path: Path) -> None:
    (tmp_path / "boot").write_text("import threading; print('booting', flush=True); threading.Event().wait()")
    master = start_master()
    master.running.wait_line("booting")
    master.running.send_signal(signal.SIGTERM)
    assert master.running.wait_exit() == 0
    assert "killing it" not in master.running.output


def test_int_from_a_terminal_stops_master_and_booting_worker(start_master: StartMaster, tmp_path: Path) -> None:
    (tmp_path / "boot").write_text("import threading; print('booting', flush=True); threading.Event().wait()")
    master = start_master()
    master.running.wait_line("booting")
    os.killpg(master.running.pid, signal.SIGINT)
    assert master.running.wait_exit() == 0
    assert "boot error" not in master.running.output
    assert not master.has_traceback()


def test_stuck_worker_is_replaced_once_another_is_ready(
    start_master: StartMaster, tmp_path: Path, wait_for_end: Callable[[int], bool]
) -> None:
    master = start_master(timeout=0.2, graceful_timeout=0.2)
    (stuck,) = master.workers(1)
    with master.ask("wait never"):
        fresh = master.workers(2)[1]
        assert wait_for_end(stuck)
        assert master.answer("pid") == str(fresh)
    master.running.wait_line(f"Worker timeout .pid: {stuck}.: wait never has run for")
    master.running.wait_line("Stacks of all threads")
    master.running.wait_line("in serve")  # the stack of the thread that is stuck
    aborted = master.running.wait_line("Requests aborted because they did not finish")
    ready = master.running.wait_line(rf"Worker ready \(pid: {fresh}\)")
    assert ready.start() < aborted.start()


def test_stuck_worker_keeps_serving_while_its_replacement_cannot_boot(
    start_master: StartMaster, tmp_path: Path
) -> None:
    master = start_master(timeout=0.2, graceful_timeout=0.2)
    (stuck,) = master.workers(1)
    (tmp_path / "boot").write_text("1 / 0")
    with master.ask("wait never"):
        master.running.wait_lines("starting another in", 2)
        assert master.answer("pid") == str(stuck)


EXIT_FUNCTION = "import atexit; atexit.register(print, 'said at exit', flush=True)\n"


@pytest.mark.parametrize(
    "threads",
    [
        "",
        "from concurrent.futures import ThreadPoolExecutor; ThreadPoolExecutor(1).submit(int).result()",
        "import threading; threading.Thread(target=threading.Event().wait).start()",
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
    ],
    ids=["no threads", "idle executor", "stuck thread", "daemon thread"],
)
def test_atexit_of_the_application_runs_in_a_worker(start_master: StartMaster, tmp_path: Path, threads: str) -> None:
    (tmp_path / "boot").write_text(EXIT_FUNCTION + threads)
    master = start_master()
    master.workers(1)
    master.running.send_signal(signal.SIGTERM)
    assert master.running.wait_exit() == 0
    assert master.running.output.count("said at exit") == 1
    assert "killing it" not in master.running.output


def test_exit_function_that_hangs_while_a_thread_is_stuck_is_left(start_master: StartMaster, tmp_path: Path) -> None:
    (tmp_path / "boot").write_text(
        "import atexit, threading; atexit.register(threading.Event().wait)\n"
        "threading.Thread(target=threading.Event().wait).start()"
    )
    master = start_master()
    master.workers(1)
    master.running.send_signal(signal.SIGTERM)
    assert master.running.wait_exit() == 0
    assert "killing it" not in master.running.output


def test_thread_of_the_application_does_not_keep_a_worker_from_exiting(
    start_master: StartMaster, tmp_path: Path
) -> None:
    (tmp_path / "boot").write_text("import threading; threading.Thread(target=threading.Event().wait).start()")
    master = start_master()
    master.workers(1)
    master.running.send_signal(signal.SIGTERM)
    assert master.running.wait_exit() == 0
    assert "killing it" not in master.running.output


def test_worker_has_no_descriptor_of_another(start_master: StartMaster) -> None:
    master = start_master(3)
    for worker in master.workers(3):
        pipes = [
            os.readlink(entry.path)
            for entry in os.scandir(f"/proc/{worker}/fd")
            if int(entry.name) > 2 and os.readlink(entry.path).startswith("pipe:")
        ]
        assert len(pipes) == 2  # its reports and the lifeline
