"""Supervision by time: kills workers that do not exit or respond, logs slow boots, notifies systemd's watchdog.

Main thread of the master only.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from ropewalk.logs.error_log import get_logger
from ropewalk.process.master.slow_boot import log_slow_boots, slow_boot_deadlines
from ropewalk.process.master.stall_clock import StallClock
from ropewalk.process.master.stats import MasterStats
from ropewalk.process.master.worker_handle import WorkerHandle
from ropewalk.process.master.workers import Workers
from ropewalk.process.options import ProcessOptions
from ropewalk.process.system.sd_notify import Notifier

STALL_CHECK_HEARTBEATS = 2
"""The master wakes at least once in this many heartbeats; usually one arrives before."""


class Liveness:
    """Checks the workers of one master at each turn of its loop."""

    def __init__(self, workers: Workers, stats: MasterStats, notifier: Notifier) -> None:
        self.clock = StallClock(time.monotonic())
        self._workers = workers
        self._stats = stats
        self._notifier = notifier
        self._next_notification = 0.0
        """Monotonic; of the next one for the service manager's watchdog."""

    def deadlines(self, options: ProcessOptions, now: float) -> Iterator[float]:
        """When (monotonic) there will be something to do, unless an event comes first."""
        yield from (worker.kill_deadline for worker in self._workers if worker.kill_deadline is not None)
        serving = self._workers.serving()
        if options.heartbeat_timeout and serving:
            for worker in serving:
                yield now + options.heartbeat_timeout - self.clock.silence(now, worker.last_report)
            # A stall shows by the wait that it prolongs, so no wait may be as long as the timeout.
            yield now + STALL_CHECK_HEARTBEATS * options.heartbeat
        yield from (deadline for deadline, _ in slow_boot_deadlines(self._workers, options.slow_boot))
        if self._notifier.watchdog_seconds:
            yield self._next_notification

    def check(self, options: ProcessOptions, now: float) -> None:
        """Kill and log what is due."""
        for worker in self._workers:
            if worker.kill_deadline is not None and now >= worker.kill_deadline:
                get_logger().error("Worker (pid: %d) did not exit in time; killing it", worker.pid)
                self._kill(worker)
        for worker in self._workers.serving() if options.heartbeat_timeout else ():
            silence = self.clock.silence(now, worker.last_report)
            if silence >= options.heartbeat_timeout:
                get_logger().error(
                    "Worker (pid: %d) unresponsive for %.0f s (stopped, or blocked in a call that holds the GIL); "
                    "killing it",
                    worker.pid,
                    silence,
                )
                self._kill(worker)
        log_slow_boots(self._workers, options.slow_boot, now)

    def notify_watchdog(self, target: int, now: float) -> None:
        """Tell the service manager that the master's loop runs, and that a worker of those that serve is alive."""
        seconds = self._notifier.watchdog_seconds
        if not seconds or now < self._next_notification:
            return
        self._next_notification = now + seconds / 2
        last_reports = (worker.last_report for worker in self._workers.serving())
        if not target or now - max(last_reports, default=-seconds) < seconds:
            self._notifier.alive()

    def _kill(self, worker: WorkerHandle) -> None:
        self._stats.events["killed"] += 1
        worker.kill()
