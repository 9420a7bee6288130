"""What the process layer is asked for, as plain numbers."""

from __future__ import annotations

from typing import NamedTuple

from ropewalk.process.hooks import Hooks
from ropewalk.process.recycling import Lifetime


class ProcessOptions(NamedTuple):
    """How many workers, and how long things may take (seconds)."""

    workers: int = 1
    timeout: float = 30.0
    """Of one run of the application, the shortest if it depends on what runs; 0 for ever."""
    graceful_timeout: float = 30.0
    """From being told to finish to being ended."""
    drain_delay: float = 0.0
    """From being told to end until workers are told to finish; meanwhile they serve on."""
    heartbeat: float = 0.0
    """Between two signs of life that a worker gives its master; 0 for none."""
    hooks: Hooks = Hooks()
    """What the operator's own code is told."""
    lifetime: Lifetime = Lifetime()
    """What a worker does before it is replaced."""
