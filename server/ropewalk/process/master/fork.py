"""How a worker comes to be: what a master and its worker share, the fork, and what the child gives up.

Main thread of the master only.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from ropewalk.process.ipc.channel import Channel
from ropewalk.process.ipc.reports import ReportReader
from ropewalk.process.master.worker_handle import WorkerHandle
from ropewalk.process.options import ProcessOptions
from ropewalk.process.system import gc_freeze
from ropewalk.process.system.signals import blocked_signals
from ropewalk.process.worker.worker import Program, leave, run_worker


class Forking:
    """Forks the workers of one master."""

    def __init__(self, abandon: Callable[[], None]) -> None:
        """`abandon` gives up, in each child, what is the master's alone; signals are blocked then. Raises OSError."""
        self._abandon = abandon
        gc_freeze.settle()
        self._lifeline, self._lifeline_kept_open = os.pipe()

    def fork(self, program: Program, options: ProcessOptions) -> WorkerHandle:
        """A new worker. In the worker itself it ends with SystemExit.

        Raises OSError when there is no descriptor, process or memory to be had; nothing is left of the attempt.
        """
        with ExitStack() as at_a_failure:
            reading_end, writing_end = os.pipe()
            at_a_failure.callback(os.close, reading_end)
            at_a_failure.callback(os.close, writing_end)
            channel, workers_end = socket.socketpair()
            at_a_failure.callback(channel.close)
            at_a_failure.callback(workers_end.close)
            _flush()
            with blocked_signals():
                pid = os.fork()
                at_a_failure.pop_all()
                if not pid:
                    os.close(reading_end)
                    channel.close()
                    os.close(self._lifeline_kept_open)
                    self._abandon()
        if not pid:
            leave(run_worker(program, options, writing_end, self._lifeline, workers_end))
        os.close(writing_end)
        workers_end.close()
        return WorkerHandle(pid, ReportReader(reading_end), time.monotonic(), channel=Channel(channel))

    def close(self) -> None:
        os.close(self._lifeline)
        os.close(self._lifeline_kept_open)


def _flush() -> None:
    """A child would write out what is buffered here once more."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it, its disk is full, it was closed: no reason not to fork
            stream.flush()
