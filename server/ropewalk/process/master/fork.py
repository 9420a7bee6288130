"""Forks workers: what a master and its worker share, the fork, and what the child closes.

Main thread of the master only.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from ropewalk import forked
from ropewalk.process.ipc.channel import Channel
from ropewalk.process.ipc.reports import ReportReader
from ropewalk.process.master.worker_handle import WorkerHandle
from ropewalk.process.options import ProcessOptions
from ropewalk.process.system import gc_freeze
from ropewalk.process.system.signals import blocked_signals
from ropewalk.process.worker.worker import Program, exit_process, run_worker


class Forker:
    """Forks the workers of one master."""

    def __init__(self, close_in_child: Callable[[], None]) -> None:
        """`close_in_child` closes, in each child, what only the master needs; signals are blocked. Raises OSError."""
        self._close_in_child = close_in_child
        gc_freeze.freeze_in_master()
        self._lifeline, self._lifeline_kept_open = os.pipe()

    def fork(self, program: Program, options: ProcessOptions) -> WorkerHandle:
        """Fork a worker. In the worker itself this ends with SystemExit.

        Raises OSError if there is no descriptor, process or memory left; nothing remains of the attempt.
        """
        with ExitStack() as on_failure:
            reading_end, writing_end = os.pipe()
            on_failure.callback(os.close, reading_end)
            on_failure.callback(os.close, writing_end)
            channel, workers_end = socket.socketpair()
            on_failure.callback(channel.close)
            on_failure.callback(workers_end.close)
            _flush()
            with blocked_signals():
                pid = forked.fork()
                on_failure.pop_all()
                if not pid:
                    os.close(reading_end)
                    channel.close()
                    os.close(self._lifeline_kept_open)
                    self._close_in_child()
        if not pid:
            _forget_children()
            exit_process(run_worker(program, options, writing_end, self._lifeline, workers_end))
        os.close(writing_end)
        workers_end.close()
        return WorkerHandle(pid, ReportReader(reading_end), time.monotonic(), channel=Channel(channel))

    def close(self) -> None:
        os.close(self._lifeline)
        os.close(self._lifeline_kept_open)


def _forget_children() -> None:
    """Leave processes that a preloaded application has started to the master.

    The exit function of `multiprocessing` ends the daemons among them, and fails to wait for the others.
    """
    module: Any = sys.modules.get("multiprocessing.process")
    if module is not None:
        with suppress(AttributeError):  # its own, by which it does the same in processes that it forks
            module._children.clear()


def _flush() -> None:
    """Write what is buffered, or the child would write it once more."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it, its disk is full, it is closed: no reason not to fork
            stream.flush()
