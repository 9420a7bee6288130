"""The worker's side: boot, say so, wait in the main thread, end as asked.

Runs in a forked child, from the fork to its end. While it boots, TERM ends it at once; from then on TERM drains,
INT and QUIT close. It also ends, gracefully, when its master is gone: the lifeline, a pipe that nobody writes to,
is then at its end.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, Protocol

from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.process.ipc.channel import start_answering
from ropewalk.process.ipc.reports import BootFailed, Farewell, Ready, ReplaceMe, send_report, send_sign_of_life
from ropewalk.process.master.slow_boot import say_where_on_signal
from ropewalk.process.options import ProcessOptions
from ropewalk.process.system import gc_freeze
from ropewalk.process.system.signals import WORKER_SIGNALS, SignalInbox
from ropewalk.process.worker.recycling import LOOK_SECONDS, Recycler, TooLittleError
from ropewalk.process.worker.watchdog import Running, Watchdog, interrupt_overdue, stacks

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import WorkerSnapshot

BOOT_FAILED_STATUS = 3
"""gunicorn's exit status for a worker that could not load its application."""

_QUICK: frozenset[int] = frozenset({signal.SIGINT, signal.SIGQUIT})
_ENDING: frozenset[int] = _QUICK | {signal.SIGTERM}


class Drained(Protocol):
    """What became of the work that was in flight."""

    @property
    def finished(self) -> int: ...

    @property
    def aborted(self) -> int: ...


class Service(Protocol):
    """What a worker runs. All but `start`, `drain` and `close` return at once, and may be called from any thread."""

    def start(self) -> None:
        """Start threads, and return."""

    def announce_end(self) -> None:
        """Keep serving, but close each connection after its next response."""

    def drain(self, deadline: float) -> Drained:
        """Accept nothing new and finish what is in flight until `deadline` (monotonic). Blocks."""

    def close(self) -> None:
        """End everything now."""

    def served(self) -> int:
        """The number of requests that the application has finished."""

    def running(self) -> Sequence[Running]:
        """The requests that are running."""

    def timeout_of(self, thread: int, since: float) -> float:
        """Seconds that the request which `thread` has run since then may take; inf if it has ended."""

    def interrupt(self, thread: int, since: float) -> bool:
        """Respond in place of that request and raise an exception in its thread; False if it was too late."""

    def snapshot(self) -> WorkerSnapshot:
        """What the service has counted and how busy it is."""


class Program(Protocol):
    """What a worker is made of; the composition root writes it."""

    def boot(self) -> Service:
        """Load the application. Raises ConfigError for the operator, whose cause is the user's own fault."""

    def reloaded(self) -> tuple[Program, ProcessOptions]:
        """This program with its settings read again, in the master. Raises ConfigError."""

    def reopen_logs(self) -> None:
        """Open the log files again by their names, in the master and in each worker. Raises ConfigError."""

    def shared(self) -> dict[str, list[int]]:
        """The descriptors of the listening sockets, by names that another master of this program understands."""

    def turn_away(self) -> bool:
        """Let nobody start to connect any more, in the master; whether somebody may be about to who began before."""

    def let_go(self, *, is_shared: bool) -> None:
        """Close the listening sockets, in the master. `is_shared`: another master listens there."""

    def promote(self) -> None:
        """Take the place of the old master, which is gone: the names of its files."""

    def finish(self) -> None:
        """Write out what is still to be written; the worker ends."""


def run_worker(
    program: Program, options: ProcessOptions, reports: int, lifeline: int, channel: socket.socket | None = None
) -> int:
    """Be a worker until told to end; returns the exit status.

    `reports` and `lifeline` are pipes' ends; over `channel` the master asks.
    """
    gc_freeze.keep()
    log, hooks = get_logger(), options.hooks
    say_where_on_signal()
    try:
        hooks.in_worker()
        service = program.boot()
        hooks.booted()
        inbox = SignalInbox(WORKER_SIGNALS)
        service.start()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's code raises is told
        send_report(reports, BootFailed(*explain(error)))
        hooks.leaving()
        program.finish()
        if channel is not None:
            channel.close()
        return BOOT_FAILED_STATUS
    if channel is not None:
        start_answering(channel, {"stacks": stacks, "status": service.snapshot})
    log.debug("Worker ready (pid: %d)", os.getpid())
    # Whether or not there is a master to read it: if there is none any more, the lifeline tells.
    send_report(reports, Ready())
    _Life(program, service, options, inbox, reports, lifeline).live()
    send_report(reports, Farewell(service.snapshot()["counters"]))
    hooks.leaving()
    program.finish()
    inbox.close(is_process_ending=True)
    log.info("Worker exiting (pid: %d)", os.getpid())
    return 0


class _Life:
    """A worker between READY and its end. Main thread only."""

    def __init__(
        self,
        program: Program,
        service: Service,
        options: ProcessOptions,
        inbox: SignalInbox,
        reports: int,
        lifeline: int,
    ) -> None:
        self._program = program
        self._service = service
        self._options = options
        self._inbox = inbox
        self._reports = reports
        self._lifeline = lifeline
        self._watchdog = self._make_watchdog()
        self._recycler = self._make_recycler()
        self._asked_for_replacement = False
        self._shown_life = time.monotonic()
        self._look_at_lifetime()  # while it is fresh

    def live(self) -> None:
        """Return when the service is closed."""
        signals = self._wait_end()
        if signals & _QUICK:
            self._options.hooks.interrupted()
            self._service.close()
        else:
            self._drain()

    def _wait_end(self) -> frozenset[int]:
        """Look after the service until a signal came or the master went; the signals."""
        poll = select.poll()
        poll.register(self._inbox, select.POLLIN)
        poll.register(self._lifeline, select.POLLIN)
        intervals = [self._watchdog.interval] if self._watchdog else []
        intervals += [self._options.heartbeat] if self._options.heartbeat else []
        intervals += [LOOK_SECONDS] if self._recycler else []
        interval = min(intervals, default=0.0) * 1000 or None
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(interval)}
            signals = self._receive() & _ENDING
            if signals:
                return signals
            if self._lifeline in ready:
                get_logger().warning("the master is gone: worker %d finishes and ends", os.getpid())
                return frozenset()
            self._watch()
            self._look_at_lifetime()
            self._show_life()

    def _drain(self) -> None:
        """Finish what is in flight; INT and QUIT end that. The service works on in a thread meanwhile."""
        drained: list[Drained] = []
        deadline = time.monotonic() + self._options.graceful_timeout

        def drain() -> None:
            try:
                drained.append(self._service.drain(deadline))
            finally:
                self._inbox.wake()

        thread = threading.Thread(target=drain, name="ropewalk-drain", daemon=True)
        thread.start()
        poll = select.poll()
        poll.register(self._inbox, select.POLLIN)
        signals: frozenset[int] = frozenset()
        while thread.is_alive() and not signals & _QUICK:
            poll.poll(1000)
            signals = self._receive()
        if signals & _QUICK:
            self._options.hooks.interrupted()
        if drained:
            get_logger().info(
                "Worker drained (pid: %d): %d requests finished, %d aborted",
                os.getpid(),
                drained[0].finished,
                drained[0].aborted,
            )
        if drained and drained[0].aborted:
            get_logger().warning(
                "%d requests did not finish within %g s and were aborted",
                drained[0].aborted,
                self._options.graceful_timeout,
            )
        self._service.close()

    def _receive(self) -> frozenset[int]:
        """The signals that came; those that do not end this are seen to."""
        signals = frozenset(self._inbox.receive())
        if signal.SIGUSR1 in signals:
            reopen_logs(self._program)
        if signal.SIGUSR2 in signals:
            self._service.announce_end()
        return signals

    def _show_life(self) -> None:
        now = time.monotonic()
        if self._options.heartbeat and now - self._shown_life >= self._options.heartbeat:
            self._shown_life = now
            send_sign_of_life(self._reports)

    def _make_watchdog(self) -> Watchdog | None:
        if not self._options.timeout:
            return None
        return Watchdog(self._options.timeout, self._service.running, self._service.timeout_of)

    def _watch(self) -> None:
        """Tell what is overdue and have it answered and interrupted; what is not freed by that, this process cannot."""
        if self._watchdog is None:
            return
        now = time.monotonic()
        overdue = self._watchdog.look(now)
        if overdue:
            interrupt_overdue(overdue, self._service.interrupt)
            self._options.hooks.timed_out()
        if self._watchdog.is_stuck(now):
            self._ask_for_replacement("a request past its timeout does not let go of its thread", is_fault=True)

    def _make_recycler(self) -> Recycler | None:
        return Recycler(self._options.lifetime, self._service.served) if self._options.lifetime else None

    def _look_at_lifetime(self) -> None:
        if self._recycler is None or self._asked_for_replacement:
            return
        try:
            reason = self._recycler.look()
        except TooLittleError as error:
            get_logger().error("%s", error)
            return
        if reason:
            self._ask_for_replacement(reason, is_fault=False)

    def _ask_for_replacement(self, reason: str, *, is_fault: bool) -> None:
        if not self._asked_for_replacement:
            self._asked_for_replacement = True
            send_report(self._reports, ReplaceMe(reason, is_fault))


def reopen_logs(program: Program) -> None:
    """Open the logs again; one that cannot be opened is written on as it was, and says why."""
    try:
        program.reopen_logs()
    except ConfigError as error:
        get_logger().error("a log cannot be opened again: %s", error)


def leave(status: int) -> NoReturn:
    """End this worker's process.

    By the interpreter's own end when only daemon threads are left, so that what libraries registered with
    `atexit` runs; at once when a thread of the application would be waited for.
    """
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if all(thread.daemon for thread in others):
        raise SystemExit(status)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it, its disk is full, it was closed
            stream.flush()
    os._exit(status)


def explain(error: BaseException) -> tuple[str, str]:
    """Why there is no application: a line for the operator, and the traceback of the user's code if that raised."""
    if not isinstance(error, ConfigError):
        return f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error))
    cause = error.__cause__
    return str(error), "" if cause is None else "".join(traceback.format_exception(cause))
