"""The master: a single thread around one `poll`, over signals and the pipes of its workers.

Each turn it takes what arrived (signals, reports, deaths), and then compares what is with what should be: too few
workers, one more is forked; more that serve than asked for, one of them is drained, the condemned first. Every
change of workers is made of these two: a reload condemns all, a stuck worker condemns itself, fewer workers is a
lower number. Nothing of the application is ever run here.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

from ropewalk.observe.log import get_logger
from ropewalk.process.backoff import Backoff
from ropewalk.process.options import ProcessOptions
from ropewalk.process.reports import BootFailed, Ready, ReplaceMe, Report, ReportReader
from ropewalk.process.signals import MASTER_SIGNALS, SignalInbox, blocked_signals, name_of
from ropewalk.process.states import (
    ENDING_STATES,
    KEPT_STATES,
    MASTER_MOVES,
    SERVING_STATES,
    MasterState,
    WorkerState,
    move,
)
from ropewalk.process.view import WorkerView
from ropewalk.process.worker import BOOT_FAILED_STATUS, Program, leave, run_worker

SHORT_LIFE_SECONDS = 1.0
"""A worker that dies sooner after it was ready is taken for one that cannot live."""


class BootError(Exception):
    """No worker could load the application; the message is why, in one line. Exit status 3."""

    status = BOOT_FAILED_STATUS


class Master:
    """Keeps workers. `run` is called once, in the main thread, before any other thread is started."""

    def __init__(self, program: Program, options: ProcessOptions) -> None:
        self._program = program
        self._options = options
        self._target = options.workers
        self._state = MasterState.SERVING
        self._views: dict[int, WorkerView] = {}
        """By process id, from the fork until the worker is reaped."""
        self._backoff = Backoff()
        self._has_served = False
        self._boot_failure = ""
        """The last reason, until a first worker is ready; then boots are tried again and again."""
        self._told_details = ""
        self._log = get_logger()

    def run(self) -> None:
        """Serve until told to end. Raises BootError; in a worker, SystemExit."""
        self._inbox = SignalInbox(MASTER_SIGNALS)
        self._lifeline, self._lifeline_kept_open = os.pipe()
        self._regulate()
        while self._views or (self._state is MasterState.SERVING and not self._boot_failure):
            self._wait()
            self._take_signals()
            self._take_reports()
            self._reap()
            self._kill_overdue()
            self._regulate()
        self._inbox.close()
        os.close(self._lifeline)
        os.close(self._lifeline_kept_open)
        if self._boot_failure and not self._has_served and self._state is MasterState.SERVING:
            raise BootError(self._boot_failure)

    # What arrives

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._inbox, select.POLLIN)
        for view in self._views.values():
            if view.reports.is_open:
                poll.register(view.reports, select.POLLIN)
        seconds = self._seconds_to_act()
        # Rounded up: a poll that ends a moment early would be repeated until the moment has passed.
        poll.poll(None if seconds is None else int(seconds * 1000) + 1)

    def _seconds_to_act(self) -> float | None:
        now = time.monotonic()
        moments = [max(0.0, view.kill_deadline - now) for view in self._views.values() if view.kill_deadline]
        if self._lacks_workers():
            moments.append(self._backoff.wait(now))
        return min(moments, default=None)

    def _take_signals(self) -> None:
        for number in self._inbox.receive():
            if number == signal.SIGCHLD:
                continue
            self._log.info("Handling signal: %s", name_of(number).removeprefix("SIG").lower())
            if number == signal.SIGTERM:
                self._drain_all()
            elif number in (signal.SIGINT, signal.SIGQUIT):
                self._close_all()
            else:
                self._log.warning("%s has no effect yet", name_of(number))

    def _take_reports(self) -> None:
        for view in self._views.values():
            for report in view.reports.read():
                self._take_report(view, report)

    def _take_report(self, view: WorkerView, report: Report) -> None:
        match report:
            case Ready() if view.state is WorkerState.BOOTING:
                view.move(WorkerState.READY)
                view.ready_since = time.monotonic()
                self._has_served = True
                self._tell_whether_complete()
            case BootFailed(reason, details):
                view.failure = reason
                if details != self._told_details:  # once for all the workers that fail alike
                    self._told_details = details
                    self._log.text(details)
            case ReplaceMe(reason) if view.state is WorkerState.READY:
                view.move(WorkerState.CONDEMNED)
                self._log.warning("Worker (pid: %d) is being replaced: %s", view.pid, reason)

    def _reap(self) -> None:
        for view in list(self._views.values()):
            was = view.state
            status = view.reap()
            if status is None:
                continue
            for report in view.reports.read():  # what it said last
                if isinstance(report, BootFailed):
                    self._take_report(view, report)
            view.reports.close()
            del self._views[view.pid]
            if was not in ENDING_STATES:
                self._mourn(view, status)

    def _mourn(self, view: WorkerView, status: int) -> None:
        """A worker ended that was not told to."""
        now = time.monotonic()
        how = _how_it_ended(status)
        if view.ready_since is not None and now - view.ready_since >= SHORT_LIFE_SECONDS:
            self._backoff.succeed()
            self._log.error("Worker (pid: %d) %s", view.pid, how)
            return
        wait = self._backoff.fail(now)
        if self._has_served:
            why = f" ({view.failure})" if view.failure else ""
            self._log.error("Worker (pid: %d) %s%s; the next is tried in %.1f s", view.pid, how, why, wait)
        else:
            self._boot_failure = view.failure or f"a worker {how} while it booted"

    # What should be

    def _regulate(self) -> None:
        """Bring the number of workers to what was asked for."""
        now = time.monotonic()
        if self._state is not MasterState.SERVING:
            return
        while self._lacks_workers() and not self._backoff.wait(now):
            if not self._fork():
                break
        serving = [view for view in self._views.values() if view.state in SERVING_STATES]
        serving.sort(key=lambda view: (view.state is not WorkerState.CONDEMNED, view.started))
        for view in serving[: max(0, len(serving) - self._target)]:
            view.drain(now, self._options.graceful_timeout)

    def _lacks_workers(self) -> bool:
        if self._state is not MasterState.SERVING or (self._boot_failure and not self._has_served):
            return False
        return sum(view.state in KEPT_STATES for view in self._views.values()) < self._target

    def _drain_all(self) -> None:
        if self._state is not MasterState.SERVING:
            return
        self._state = move(MASTER_MOVES, self._state, MasterState.DRAINING)
        now = time.monotonic()
        for view in self._views.values():
            if view.state not in ENDING_STATES:
                view.drain(now, self._options.graceful_timeout)

    def _close_all(self) -> None:
        if self._state is MasterState.CLOSING:
            return
        self._state = move(MASTER_MOVES, self._state, MasterState.CLOSING)
        now = time.monotonic()
        for view in self._views.values():
            if view.state not in (WorkerState.CLOSING, WorkerState.KILLED):
                view.close(now)

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for view in self._views.values():
            if view.kill_deadline is not None and now >= view.kill_deadline:
                self._log.error("Worker (pid: %d) did not end in time and is killed", view.pid)
                view.kill()

    def _tell_whether_complete(self) -> None:
        ready = sum(view.state is WorkerState.READY for view in self._views.values())
        if ready == self._target:
            self._log.info("Ready: %d %s", ready, "worker" if ready == 1 else "workers")

    # The fork

    def _fork(self) -> bool:
        reading_end, writing_end = os.pipe()
        # A child would write out what is buffered here once more.
        sys.stdout.flush()
        sys.stderr.flush()
        with blocked_signals():
            try:
                pid = os.fork()
            except OSError as error:
                os.close(reading_end)
                os.close(writing_end)
                wait = self._backoff.fail(time.monotonic())
                self._log.error("no worker can be forked: %s; tried again in %.1f s", error.strerror, wait)
                return False
            if not pid:
                os.close(reading_end)
                self._forget_being_the_master()
        if not pid:
            leave(run_worker(self._program, self._options, writing_end, self._lifeline))
        os.close(writing_end)
        self._views[pid] = WorkerView(pid, ReportReader(reading_end), time.monotonic())
        self._log.info("Booting worker with pid: %d", pid)
        return True

    def _forget_being_the_master(self) -> None:
        """Give up, in the child, what is the master's alone."""
        self._inbox.abandon()
        os.close(self._lifeline_kept_open)
        for view in self._views.values():
            view.reports.close()
        self._views.clear()


def _how_it_ended(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with status {code}"
    hint = " (perhaps out of memory)" if -code == signal.SIGKILL else ""
    return f"was ended by {name_of(-code)}{hint}"
