"""What the process layer needs of the settings, as plain numbers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from ropewalk.process.lifecycle import Hooks
from ropewalk.process.worker.recycling import RecyclingLimits

if TYPE_CHECKING:
    from ropewalk.process.development import Development

HEARTBEATS_PER_WATCHDOG = 4
HEARTBEATS_PER_TIMEOUT = 8
"""Several heartbeats within each, since some may be late."""

MAX_HEARTBEAT = 5.0


class ProcessOptions(NamedTuple):
    """How many workers, and how long things may take (seconds)."""

    workers: int = 1
    timeout: float = 30.0
    """Of a request, the shortest if it depends on the path; 0 for no limit."""
    graceful_timeout: float = 30.0
    """For a worker to finish what is in flight, before it is killed."""
    drain_delay: float = 0.0
    """Between the signal to stop and draining; the workers keep serving meanwhile."""
    watchdog: float = 0.0
    """The service manager's, within which it expects a sign that the server is alive; 0 for none."""
    heartbeat_timeout: float = 0.0
    """A worker that serves and sends no heartbeat for this long is killed; 0 for never."""
    slow_boot: float = 30.0
    """A worker that loads the application for this long is logged: unusual, but no error by itself."""
    handover: float = 60.0
    """For a new master to be ready, if the old one is asked to stop before: more than most applications load for, and
    less than the 90 s after which systemd kills a service by default."""
    hooks: Hooks = Hooks()
    """The operator's own code."""
    development: Development | None = None
    """With --reload."""
    recycling: RecyclingLimits = RecyclingLimits()
    """When a worker is replaced by a fresh one."""
    max_workers: int = sys.maxsize
    """How many can be asked for while it runs."""

    @property
    def heartbeat(self) -> float:
        """Seconds between the heartbeats of a worker; 0 for none."""
        intervals = [self.watchdog / HEARTBEATS_PER_WATCHDOG] if self.watchdog else []
        if self.heartbeat_timeout:
            intervals.append(min(MAX_HEARTBEAT, self.heartbeat_timeout / HEARTBEATS_PER_TIMEOUT))
        return min(intervals, default=0.0)
