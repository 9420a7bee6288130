"""A worker that takes long to load the application: the log is to say so, and where it is.

Whether it waits for a database that is gone or reads a large model nobody can tell from outside, so it is never ended
for it: the workers from before serve on, and the operator sees why no other comes.
"""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterable
from types import FrameType

from ropewalk.logs.error_log import get_logger
from ropewalk.process.master.worker_handle import WorkerHandle
from ropewalk.process.states import BOOTING_STATES


def slow_moments(views: Iterable[WorkerHandle], patience: float) -> list[tuple[float, WorkerHandle]]:
    """When (monotonic) each worker that boots is to be told of: after `patience` seconds, and after twice as long."""
    return [(view.slow_at or view.started + patience, view) for view in views if view.state in BOOTING_STATES]


def tell_slow(views: Iterable[WorkerHandle], patience: float, now: float) -> None:
    """Tell of those whose moment has come, and have them say where they are. Main thread of the master."""
    for moment, view in slow_moments(views, patience):
        if now >= moment:
            seconds = now - view.started
            view.slow_at = now + seconds
            get_logger().warning("Worker (pid: %d) has been loading the application for %.0f s", view.pid, seconds)
            view.ask_where()


def say_where_on_signal() -> None:
    """In a worker's main thread, before anything is loaded; when it is ready the signal means something else."""
    signal.signal(signal.SIGUSR1, _say_where)


def _say_where(number: int, frame: FrameType | None) -> None:
    # Here and now: the main thread comes to nothing else before the application is loaded.
    get_logger().text("Where the application is being loaded:\n" + "".join(traceback.format_stack(frame)))
