"""What the process layer is asked for, as plain numbers."""

from __future__ import annotations

from typing import NamedTuple

from ropewalk.process.lifecycle import Hooks
from ropewalk.process.worker.recycling import Lifetime

WATCHDOG_BEATS = 4
SILENCE_BEATS = 8
"""Signs of life within such a time: some may come late."""

MOST_HEARTBEAT = 5.0


class ProcessOptions(NamedTuple):
    """How many workers, and how long things may take (seconds)."""

    workers: int = 1
    timeout: float = 30.0
    """Of one run of the application, the shortest if it depends on what runs; 0 for ever."""
    graceful_timeout: float = 30.0
    """From being told to finish to being ended."""
    drain_delay: float = 0.0
    """From being told to end until workers are told to finish; meanwhile they serve on."""
    watchdog: float = 0.0
    """Of the service manager, within which it wants to hear of a worker that lives; 0 for none."""
    silence: float = 0.0
    """After which a worker that serves and gives no sign of life is killed; 0 for never."""
    slow_boot: float = 30.0
    """After which a worker that still loads the application is told of: slower than most, and no fault by itself."""
    hooks: Hooks = Hooks()
    """What the operator's own code is told."""
    lifetime: Lifetime = Lifetime()
    """What a worker does before it is replaced."""

    @property
    def heartbeat(self) -> float:
        """Between two signs of life that a worker gives its master; 0 for none."""
        intervals = [self.watchdog / WATCHDOG_BEATS] if self.watchdog else []
        if self.silence:
            intervals.append(min(MOST_HEARTBEAT, self.silence / SILENCE_BEATS))
        return min(intervals, default=0.0)
