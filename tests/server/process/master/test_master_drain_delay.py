"""TERM with a drain delay: not ready, but serving until the delay is over; around a fake service."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

StartMaster = Callable[..., Any]
LONG = 600.0
"""Seconds; no test lasts until its end."""


def test_stopping_master_keeps_serving_and_announces_the_end(start_master: StartMaster) -> None:
    master = start_master(2, drain_delay=LONG)
    workers = master.workers(2)
    master.running.send_signal(signal.SIGTERM)
    master.running.wait_line("No longer ready; still serving for 600 s")
    for worker in workers:
        master.running.wait_line(f"announced by {worker}")
    assert int(master.answer("pid")) in workers
    master.running.send_signal(signal.SIGINT)
    assert master.running.wait_exit() == 0


def test_requests_in_flight_are_finished_after_the_delay(start_master: StartMaster) -> None:
    master = start_master(drain_delay=0.05)
    (worker,) = master.workers(1)
    master.running.send_signal(signal.SIGTERM)
    assert master.running.wait_exit() == 0
    assert f"Worker drained (pid: {worker}): 0 requests finished, 0 aborted" in master.running.output


def test_worker_that_dies_during_the_delay_is_replaced(start_master: StartMaster) -> None:
    master = start_master(drain_delay=LONG)
    (first,) = master.workers(1)
    master.running.send_signal(signal.SIGTERM)
    master.running.wait_line(f"announced by {first}")
    os.kill(first, signal.SIGKILL)
    second = master.workers(2)[1]
    master.running.wait_line(f"announced by {second}")
    assert master.answer("pid") == str(second)
    master.running.send_signal(signal.SIGQUIT)
    assert master.running.wait_exit() == 0


def test_reload_during_the_delay_is_refused(start_master: StartMaster) -> None:
    master = start_master(drain_delay=LONG)
    master.workers(1)
    master.running.send_signal(signal.SIGTERM)
    master.running.wait_line("announced by")
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_line("Handling signal: hup")
    master.running.send_signal(signal.SIGINT)
    assert master.running.wait_exit() == 0
    assert "Reloaded" not in master.running.output


def test_worker_that_ttou_removes_drains_without_a_delay(start_master: StartMaster) -> None:
    master = start_master(2, drain_delay=LONG)
    master.workers(2)
    master.running.send_signal(signal.SIGTTOU)
    master.running.wait_line("Worker drained")
    assert "announced" not in master.running.output
    master.running.send_signal(signal.SIGINT)
    assert master.running.wait_exit() == 0
