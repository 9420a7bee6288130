"""What a master tells of itself: what happened since it began, and how it and its workers are, in plain tables."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ropewalk.process.master.workers import Workers
from ropewalk.process.states import CHANGING_STATES, MasterState
from ropewalk.process.worker.recycling import resident_octets

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import MasterStatus, UpgradeStatus

EVENTS = ("forked", "died", "replaced", "killed", "reloads", "failed_reloads")


class MasterStats:
    """What the master keeps for those who ask. Main thread of the master only."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.events = dict.fromkeys(EVENTS, 0)
        self.was_complete = False
        """Once every worker that was asked for has been ready."""
        self.last_reload_failure = ""
        """Until a reload succeeds."""

    def reload_failed(self, reason: str) -> None:
        self.events["failed_reloads"] += 1
        self.last_reload_failure = reason

    def reload_succeeded(self) -> None:
        self.events["reloads"] += 1
        self.last_reload_failure = ""

    def status(self, state: MasterState, target: int, crew: Workers, upgrade: UpgradeStatus) -> MasterStatus:
        """How the master and its workers are."""
        now = time.monotonic()
        return {
            "pid": os.getpid(),
            "state": state.name.lower(),
            "ready": self.was_complete and bool(crew.serving()) and state in CHANGING_STATES,
            "uptime": round(now - self._began, 3),
            "resident": resident_octets(),
            "target": target,
            "last_reload_failure": self.last_reload_failure,
            "events": dict(self.events),
            "upgrade": upgrade,
            "workers": [
                {
                    "pid": view.pid,
                    "state": view.state.name.lower(),
                    "age": round(now - view.started, 3),
                    "resident": resident_octets(view.pid),
                    "snapshot": None,
                }
                for view in crew
            ],
        }
