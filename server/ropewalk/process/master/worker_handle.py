"""A worker as its master sees it. Main thread of the master only."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from ropewalk.process.ipc.channel import Channel
from ropewalk.process.ipc.reports import ReportReader
from ropewalk.process.states import BOOTING_STATES, WORKER_MOVES, WorkerState, move

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import Counters

KILL_MARGIN_SECONDS = 2.0
"""A worker that is asked to exit gets this much more time than its own deadline, to write its logs and exit."""


class WorkerHandle:
    """What the master knows about one worker."""

    def __init__(self, pid: int, reports: ReportReader, started: float, channel: Channel | None = None) -> None:
        self.pid = pid
        self.reports = reports
        self.started = started
        """Monotonic; of the fork."""
        self.channel = channel
        """For queries."""
        self.state = WorkerState.BOOTING
        self.ready_since: float | None = None
        """Monotonic; None until it has served."""
        self.kill_deadline: float | None = None
        """Monotonic; set by `drain` and `close`."""
        self.last_report = 0.0
        """Monotonic."""
        self.next_slow_boot = 0.0
        """Monotonic; when the log names it again if it is still booting; 0.0 if it has not been named."""
        self.failure = ""
        """Why it could not boot, as it reported."""
        self.shows_failure = False
        """In development: it only shows why the application cannot be loaded."""
        self.counters: Counters | None = None
        """As of its last snapshot."""

    def move(self, state: WorkerState) -> None:
        self.state = move(WORKER_MOVES, self.state, state)

    def drain(self, now: float, graceful_timeout: float) -> None:
        """Have it finish what is in flight, and exit."""
        # One that is still booting has nothing in flight: TERM ends it at once.
        self.move(WorkerState.DRAINING)
        self.kill_deadline = now + graceful_timeout + KILL_MARGIN_SECONDS
        self._send(signal.SIGTERM)

    def close(self, now: float) -> None:
        """Have it exit at once."""
        was_booting = self.state in BOOTING_STATES
        self.move(WorkerState.CLOSING)
        self.kill_deadline = now + KILL_MARGIN_SECONDS
        self._send(signal.SIGQUIT)
        if was_booting:
            # It ignores QUIT while it boots, and TERM ends it; if it is ready by now, and its report under way, QUIT
            # closes it.
            self._send(signal.SIGTERM)

    def announce_end(self) -> None:
        """Have it keep serving, with each response closing its connection."""
        self._send(signal.SIGUSR2)

    def reopen_logs(self) -> None:
        """Only for a worker that has booted; before that, the signal means `log_boot_stack`."""
        self._send(signal.SIGUSR1)

    def log_boot_stack(self) -> None:
        """Have a booting worker log its stack. If it is ready by now, it reopens its logs, which is harmless."""
        self._send(signal.SIGUSR1)

    def kill(self) -> None:
        self.move(WorkerState.KILLED)
        self.kill_deadline = None
        self._send(signal.SIGKILL)

    def reap(self) -> int | None:
        """Its wait status if it has exited, and moves it to GONE; None if it has not."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.move(WorkerState.GONE)
        return status

    def release(self) -> None:
        """Close the master's descriptors for it."""
        self.reports.close()
        if self.channel is not None:
            self.channel.close()

    def _send(self, number: int) -> None:
        # Not reaped yet, so the process id is still this worker's, whether it has exited or not.
        os.kill(self.pid, number)
