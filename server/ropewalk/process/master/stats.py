"""What has happened to a master since it started, and its status."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ropewalk.process.master.workers import Workers
from ropewalk.process.states import READY_STATES, MasterState
from ropewalk.process.worker.recycling import resident_bytes

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import MasterStatus, UpgradeStatus

EVENTS = ("forked", "died", "replaced", "killed", "reloads", "failed_reloads")


class MasterStats:
    """Counts the events of a master's life. Main thread of the master only."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.events = dict.fromkeys(EVENTS, 0)
        self.has_been_ready = False
        """Whether the full number of workers has ever been ready."""
        self.last_reload_failure = ""
        """Empty again once a reload succeeds."""

    def reload_failed(self, reason: str) -> None:
        self.events["failed_reloads"] += 1
        self.last_reload_failure = reason

    def reload_succeeded(self) -> None:
        self.events["reloads"] += 1
        self.last_reload_failure = ""

    def status(self, state: MasterState, target: int, workers: Workers, upgrade: UpgradeStatus) -> MasterStatus:
        """The state of the master and its workers."""
        now = time.monotonic()
        return {
            "pid": os.getpid(),
            "state": state.name.lower(),
            "ready": self.has_been_ready and bool(workers.serving()) and state in READY_STATES,
            "uptime": round(now - self._started, 3),
            "resident": resident_bytes(),
            "target": target,
            "last_reload_failure": self.last_reload_failure,
            "events": dict(self.events),
            "upgrade": upgrade,
            "workers": [
                {
                    "pid": worker.pid,
                    "state": worker.state.name.lower(),
                    "age": round(now - worker.started, 3),
                    "resident": resident_bytes(worker.pid),
                    "snapshot": None,
                }
                for worker in workers
            ],
        }
