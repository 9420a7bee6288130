"""A worker as its master sees it. Main thread of the master only."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from ropewalk.process.ipc.channel import Channel
from ropewalk.process.ipc.reports import ReportReader
from ropewalk.process.states import WORKER_MOVES, WorkerState, move

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import Counters

KILL_MARGIN_SECONDS = 2.0
"""What a worker that is told to end gets past its own deadline, to write its logs and go."""


class WorkerHandle:
    """What the master knows of one worker."""

    def __init__(self, pid: int, reports: ReportReader, started: float, channel: Channel | None = None) -> None:
        self.pid = pid
        self.reports = reports
        self.started = started
        """Monotonic; of the fork."""
        self.channel = channel
        """For asking it; None once it is closed."""
        self.state = WorkerState.BOOTING
        self.ready_since: float | None = None
        """Monotonic; None while it has not served."""
        self.kill_deadline: float | None = None
        """Monotonic; set by `drain` and `close`."""
        self.heard = 0.0
        """Monotonic; when its last report came."""
        self.slow_at = 0.0
        """Monotonic; when it is told next that it still boots, if it was told before."""
        self.failure = ""
        """Why it could not boot, in its own words."""
        self.counters: Counters | None = None
        """As of its last report."""

    def move(self, state: WorkerState) -> None:
        self.state = move(WORKER_MOVES, self.state, state)

    def drain(self, now: float, graceful_timeout: float) -> None:
        """Let it finish what is in flight, and end."""
        # One that still boots has nothing in flight: TERM ends it at once.
        self.move(WorkerState.DRAINING)
        self.kill_deadline = now + graceful_timeout + KILL_MARGIN_SECONDS
        self._send(signal.SIGTERM)

    def close(self, now: float) -> None:
        """Let it end at once."""
        was_booting = self.state in (WorkerState.BOOTING, WorkerState.STALE)
        self.move(WorkerState.CLOSING)
        self.kill_deadline = now + KILL_MARGIN_SECONDS
        self._send(signal.SIGQUIT)
        if was_booting:
            # It ignores QUIT while it boots and TERM ends it; if it is ready by now, and its report on the way
            # here, QUIT closes it.
            self._send(signal.SIGTERM)

    def announce_end(self) -> None:
        """Let it serve on, and tell each peer with its answer that it is the last on this connection."""
        self._send(signal.SIGUSR2)

    def reopen_logs(self) -> None:
        """For one that serves or ends; to one that boots, the same signal is `ask_where`."""
        self._send(signal.SIGUSR1)

    def ask_where(self) -> None:
        """Let one that boots say where it is. If it is ready by now, it opens its logs again: no harm."""
        self._send(signal.SIGUSR1)

    def kill(self) -> None:
        self.move(WorkerState.KILLED)
        self.kill_deadline = None
        self._send(signal.SIGKILL)

    def reap(self) -> int | None:
        """Its wait status, once it has ended; it is then gone."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.move(WorkerState.GONE)
        return status

    def release(self) -> None:
        """Close what leads to it."""
        self.reports.close()
        if self.channel is not None:
            self.channel.close()

    def _send(self, number: int) -> None:
        # Not reaped yet, so the process id is still this worker's, ended or not.
        os.kill(self.pid, number)
