"""A master without descriptors, processes or memory: it says so and retries, and its workers keep serving."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.fake_master import PROGRAM

StartMaster = Callable[..., Any]

OWN_DESCRIPTORS = 8
"""The standard streams, the listening socket, two for signals, two for the lifeline; the others are the workers'."""


def limit_descriptors(pid: int, number: int) -> int:
    """Let a process open only descriptors below `number`; returns the previous limit."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, hard))
    return soft


def descriptors(pid: int) -> set[int]:
    return {int(entry.name) for entry in os.scandir(f"/proc/{pid}/fd")}


@pytest.mark.parametrize("room", [0, 1])
def test_without_descriptors_the_remaining_worker_serves_until_one_can_be_forked(
    start_master: StartMaster, wait_for: Callable[..., None], room: int
) -> None:
    """`room` 0: not even for a pipe; 1: for the pipe, but not for the socket pair after it."""
    master = start_master(2)
    first, second = master.workers(2)
    master.running.wait_line("Ready: 2 workers")
    held = descriptors(master.running.pid)
    before = limit_descriptors(master.running.pid, max(held) + 1 if room else OWN_DESCRIPTORS)
    os.kill(first, signal.SIGKILL)
    master.running.wait_lines(r"Cannot fork a worker: Too many open files; retrying in [\d.]+ s", 3)
    assert master.answer("pid") == str(second)
    limit_descriptors(master.running.pid, before)
    third = master.workers(3)[2]
    assert int(master.answer("pid")) in (second, third)
    wait_for(lambda: len(descriptors(master.running.pid)) == len(held), "as many descriptors as before")
    assert not master.has_traceback()


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM])
def test_fork_that_fails_is_retried(start_master: StartMaster, tmp_path: Path, number: int) -> None:
    master = start_master(2)
    first, second = master.workers(2)
    held = descriptors(master.running.pid)
    (tmp_path / "no-fork").write_text(str(number))
    os.kill(first, signal.SIGKILL)
    master.running.wait_lines(f"Cannot fork a worker: {os.strerror(number)}; retrying in", 3)
    assert master.answer("pid") == str(second)
    assert len(descriptors(master.running.pid)) == len(held) - 2  # those of the dead worker; the attempts left none
    (tmp_path / "no-fork").unlink()
    master.workers(3)
    assert not master.has_traceback()


def test_fork_that_fails_at_the_start_is_retried(start_master: StartMaster, tmp_path: Path) -> None:
    (tmp_path / "no-fork").write_text(str(errno.EAGAIN))
    master = start_master(1)
    master.running.wait_lines("Cannot fork a worker", 2)
    (tmp_path / "no-fork").unlink()
    (worker,) = master.workers(1)
    assert master.answer("pid") == str(worker)


def test_reload_that_cannot_fork_keeps_the_old_workers_until_it_can(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(2)
    old = master.workers(2)
    (tmp_path / "no-fork").write_text(str(errno.ENOMEM))
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_lines("Cannot fork a worker", 2)
    assert int(master.answer("pid")) in old
    (tmp_path / "no-fork").unlink()
    master.running.wait_line("Reloaded: 2 workers")


def test_master_that_cannot_start_says_why(start: Callable[..., Any]) -> None:
    # 0 to 2, the listening socket, the two of the signals: none for the lifeline.
    running = start("/bin/sh", "-c", f"ulimit -n 6; exec {sys.executable} {PROGRAM} 1 0 1 0 0 0")
    assert running.wait_exit() == 3
    assert "boot error: cannot start the master: Too many open files" in running.output
    assert not re.search("Traceback", running.output)


def test_term_stops_a_master_that_cannot_fork(start_master: StartMaster, tmp_path: Path) -> None:
    (tmp_path / "no-fork").write_text(str(errno.EAGAIN))
    master = start_master(2)
    master.running.wait_line("Cannot fork a worker")
    master.running.send_signal(signal.SIGTERM)
    assert master.running.wait_exit() == 0
