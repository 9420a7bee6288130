"""Workers that take long to load the application: the log names them, and shows where they are.

From outside nobody can tell whether such a worker waits for a database that is down or reads a large model, so it is
never killed for it: the other workers keep serving, and the operator sees why no new one comes. Main thread of the
master.
"""

from __future__ import annotations

from collections.abc import Iterable

from ropewalk.logs.error_log import get_logger
from ropewalk.process.master.worker_handle import WorkerHandle
from ropewalk.process.states import BOOTING_STATES


def slow_boot_deadlines(workers: Iterable[WorkerHandle], slow_boot: float) -> list[tuple[float, WorkerHandle]]:
    """When (monotonic) each booting worker is next logged: after `slow_boot` seconds, then after twice as long."""
    return [
        (worker.next_slow_boot or worker.started + slow_boot, worker)
        for worker in workers
        if worker.state in BOOTING_STATES
    ]


def log_slow_boots(workers: Iterable[WorkerHandle], slow_boot: float, now: float) -> None:
    """Log the workers whose deadline has passed, and have each log its stack."""
    for deadline, worker in slow_boot_deadlines(workers, slow_boot):
        if now >= deadline:
            seconds = now - worker.started
            worker.next_slow_boot = now + seconds
            get_logger().warning("Worker (pid: %d) has been loading the application for %.0f s", worker.pid, seconds)
            worker.log_boot_stack()
