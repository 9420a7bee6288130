"""Workers that take long to boot: the log says so and where they are, and the others keep serving."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

StartMaster = Callable[..., Any]

WAITS = """
import os, time
def connect_to_a_database():
    while not os.path.exists("go"):
        time.sleep(0.01)
connect_to_a_database()
"""


def test_slow_boot_is_logged_with_the_stack_of_the_worker(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(SLOW_BOOT="0.2")
    [first] = master.workers(1)
    (tmp_path / "boot").write_text(WAITS)
    master.running.send_signal(signal.SIGHUP)
    for count in (1, 2):  # once more after twice as long
        master.running.wait_lines(r"Worker \(pid: (\d+)\) has been loading the application for", count)
        master.running.wait_lines("in connect_to_a_database", count)
        assert master.answer("pid") == str(first)
    (tmp_path / "go").touch()
    master.running.wait_line("Reloaded: 1 worker")
    assert "reopened by" not in master.running.output


def test_slow_boot_in_a_second_reload_is_reported_too(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(SLOW_BOOT="0.2")
    master.workers(1)
    (tmp_path / "boot").write_text(WAITS)
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_lines("Booting worker", 2)
    master.running.send_signal(signal.SIGHUP)
    third = master.running.wait_lines(r"Booting worker with pid: (\d+)", 3)[2][1]
    master.running.wait_line(rf"Worker \(pid: {third}\) has been loading")
    (tmp_path / "go").touch()
    master.running.wait_line("Reloaded: 1 worker")


def test_worker_that_boots_in_time_is_not_reported(start_master: StartMaster) -> None:
    master = start_master(2)
    master.workers(2)
    master.running.wait_line("Ready: 2 workers")
    assert "has been loading" not in master.running.output
