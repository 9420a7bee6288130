"""A worker process: load the application, serve it, and exit when asked.

Runs in a forked child, from the fork to the exit, in its main thread. While the worker boots, TERM ends it at once;
afterwards TERM drains it, INT and QUIT close it. It also drains when its master is gone: the lifeline, a pipe to which
nobody ever writes, then reads as closed.

It is long because boot, serving, draining and the exit are one sequence over the same state.
"""

from __future__ import annotations

import atexit
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
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, Protocol

from ropewalk import forked
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.process.ipc.channel import start_responder
from ropewalk.process.ipc.reports import (
    BootFailed,
    FinalCounters,
    Ready,
    ReplaceMe,
    ShowsFailure,
    send_heartbeat,
    send_report,
)
from ropewalk.process.options import ProcessOptions
from ropewalk.process.system import gc_freeze
from ropewalk.process.system.signals import WORKER_SIGNALS, SignalInbox
from ropewalk.process.worker.recycling import CHECK_SECONDS, LimitTooLowError, Recycler
from ropewalk.process.worker.watchdog import Running, Watchdog, format_stacks, interrupt_all

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import WorkerSnapshot

BOOT_FAILED_STATUS = 3
"""gunicorn's exit status for a worker that could not load its application."""

THREAD_GRACE = 0.5
"""Seconds for which a worker that exits waits for threads of the application."""

EXIT_FUNCTIONS_TIMEOUT = 1.0
"""Seconds for exit functions if such threads go on. With the grace, less than the time after which the master kills."""

WAKE_SECONDS = 1.0
"""The most that a thread which has done its work takes to wake the main thread, by the inbox that is closed then."""

_QUICK: frozenset[int] = frozenset({signal.SIGINT, signal.SIGQUIT})
_STOPPING: frozenset[int] = _QUICK | {signal.SIGTERM}


class Drained(Protocol):
    """How many of the requests in flight finished."""

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

    def capacity(self) -> int:
        """How many requests can run at once."""

    def interrupt(self, thread: int, since: float) -> bool:
        """End the response of that request and raise an exception in its thread; False if that is not possible now."""

    def snapshot(self) -> WorkerSnapshot:
        """What the service has counted and how busy it is."""


class Program(Protocol):
    """What a master keeps running in its workers; the composition root implements it."""

    # In a worker

    def boot(self) -> Service:
        """Load the application. Raises ConfigError; if the user's own code raised, that is its cause."""

    def close(self) -> None:
        """Write what is still buffered; the worker is about to exit."""

    # In the master

    def reload(self) -> tuple[Program, ProcessOptions]:
        """This program with its settings read again. Raises ConfigError."""

    def inheritable_fds(self) -> dict[str, list[int]]:
        """The listening sockets' descriptors, by names that another master of this program understands."""

    def refuse_new_connections(self) -> bool:
        """Refuse new connections; True if some whose handshake has begun may still arrive."""

    def release_listeners(self, *, is_shared: bool) -> None:
        """Close the listening sockets. `is_shared`: another master listens on them too."""

    def take_over_files(self) -> None:
        """Take over the names of the old master's files, once that master is gone."""

    # In both

    def reopen_logs(self) -> None:
        """Open the log files again by their names. Raises ConfigError."""


def run_worker(
    program: Program, options: ProcessOptions, reports: int, lifeline: int, channel: socket.socket | None = None
) -> int:
    """Be a worker until asked to exit; returns the exit status.

    `reports` and `lifeline` are ends of pipes; over `channel` the master sends queries.
    """
    gc_freeze.freeze_in_worker()
    log, hooks = get_logger(), options.hooks
    signal.signal(signal.SIGUSR1, _log_boot_stack)
    forked.on_fork(partial(_release_in_child, reports, lifeline, channel))
    try:
        hooks.worker_started()
        if options.development is not None:
            options.development.start_watching(partial(send_report, reports))
        service = program.boot()
        hooks.worker_booted()
        inbox = SignalInbox(WORKER_SIGNALS)
        forked.on_fork(inbox.release_in_child)
        service.start()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        send_report(reports, BootFailed(*explain(error)))
        hooks.worker_exiting()
        program.close()
        if channel is not None:
            channel.close()
        return BOOT_FAILED_STATUS
    if channel is not None:
        start_responder(channel, {"stacks": format_stacks, "status": service.snapshot})
    log.debug("Worker ready (pid: %d)", os.getpid())
    # If the master is gone already, the lifeline shows it.
    if options.development is not None and options.development.shows_failure:
        send_report(reports, ShowsFailure())
    send_report(reports, Ready())
    _ServingWorker(program, service, options, inbox, reports, lifeline).run()
    send_report(reports, FinalCounters(service.snapshot()["counters"]))
    hooks.worker_exiting()
    program.close()
    inbox.close(is_process_exiting=True)
    log.routine("Worker exiting (pid: %d)", os.getpid())
    return 0


def _release_in_child(reports: int, lifeline: int, channel: socket.socket | None) -> None:
    """Give up, in a process that the application forked, what belongs to the worker."""
    for number in WORKER_SIGNALS:
        if signal.getsignal(number) in (signal.SIG_IGN, _log_boot_stack):  # as they are while a worker boots
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.close(reports)
    os.close(lifeline)
    if channel is not None:
        os.close(channel.detach())  # its `close` would wait for that of the file which the responder reads


class _ServingWorker:
    """A worker after it has reported that it is ready. Main thread only."""

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
        self._recycler = Recycler(options.recycling, service.served) if options.recycling else None
        self._asked_for_replacement = False
        self._last_heartbeat = time.monotonic()
        self._check_recycling()  # while it is fresh

    def run(self) -> None:
        """Return when the service is closed."""
        signals = self._wait_for_stop()
        if signals & _QUICK:
            self._abort()
            self._service.close()
        else:
            self._drain()

    def _wait_for_stop(self) -> frozenset[int]:
        """Supervise the service until a signal ends it, or the master is gone; returns the signals."""
        poll = select.poll()
        poll.register(self._inbox, select.POLLIN)
        poll.register(self._lifeline, select.POLLIN)
        intervals = [self._watchdog.interval] if self._watchdog else []
        intervals += [self._options.heartbeat] if self._options.heartbeat else []
        intervals += [CHECK_SECONDS] if self._recycler else []
        interval = min(intervals, default=0.0) * 1000 or None
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(interval)}
            signals = self._receive_signals() & _STOPPING
            if signals:
                return signals
            if self._lifeline in ready:
                get_logger().warning("Master is gone, shutting down (pid: %d)", os.getpid())
                return frozenset()
            self._check_timeouts()
            self._check_recycling()
            self._send_heartbeat()

    def _drain(self) -> None:
        """Finish what is in flight, unless INT or QUIT comes first. The service drains in a thread meanwhile.

        Requests still time out; those that remain at the end of the grace period are answered with 504 as well.
        """
        self._asked_for_replacement = True  # the worker is being replaced, or is not needed
        drained: list[Drained] = []
        deadline = time.monotonic() + self._options.graceful_timeout
        has_ended = threading.Event()  # the thread itself lives on for a moment

        def drain() -> None:
            try:
                drained.append(self._service.drain(deadline))
            finally:
                has_ended.set()
                self._inbox.wake()

        thread = threading.Thread(target=drain, name="ropewalk-drain", daemon=True)
        thread.start()
        poll = select.poll()
        poll.register(self._inbox, select.POLLIN)
        interval = min(1.0, self._watchdog.interval if self._watchdog else 1.0)
        signals: frozenset[int] = frozenset()
        while not has_ended.is_set() and not signals & _QUICK:
            poll.poll(interval * 1000)
            signals = self._receive_signals()
            if not drained:
                self._check_timeouts()
        if has_ended.is_set():
            thread.join(WAKE_SECONDS)
        if signals & _QUICK:
            self._abort()
        for counts in drained:
            get_logger().routine(
                "Worker drained (pid: %d): %d requests finished, %d aborted",
                os.getpid(),
                counts.finished,
                counts.aborted,
            )
            if counts.aborted:
                get_logger().warning(
                    "Requests aborted because they did not finish within %g s: %d",
                    self._options.graceful_timeout,
                    counts.aborted,
                )
                interrupt_all(self._service.running(), self._service.interrupt)
        self._service.close()

    def _abort(self) -> None:
        """INT or QUIT: nothing is finished any more."""
        self._options.hooks.worker_interrupted()
        aborted = len(self._service.running())
        if aborted:
            get_logger().warning("Requests aborted, since INT and QUIT wait for none: %d", aborted)

    def _receive_signals(self) -> frozenset[int]:
        """The signals that came; those that do not end the worker are handled here."""
        signals = frozenset(self._inbox.receive())
        if signal.SIGUSR1 in signals:
            reopen_logs(self._program)
        if signal.SIGUSR2 in signals:
            self._service.announce_end()
        return signals

    def _send_heartbeat(self) -> None:
        now = time.monotonic()
        if self._options.heartbeat and now - self._last_heartbeat >= self._options.heartbeat:
            self._last_heartbeat = now
            send_heartbeat(self._reports)

    def _make_watchdog(self) -> Watchdog | None:
        if not self._options.timeout:
            return None
        service = self._service
        return Watchdog(self._options.timeout, service.running, service.timeout_of, service.capacity)

    def _check_timeouts(self) -> None:
        """Log and interrupt overdue requests; ask for a replacement if that does not help."""
        if self._watchdog is None:
            return
        now = time.monotonic()
        overdue = self._watchdog.interrupt_overdue(now, self._service.interrupt)
        if not all(each.is_streaming for each in overdue):
            self._options.hooks.request_timed_out()
        reason = self._watchdog.stuck_reason(now)
        if reason:
            self._ask_for_replacement(reason, is_fault=True)

    def _check_recycling(self) -> None:
        if self._recycler is None or self._asked_for_replacement:
            return
        try:
            reason = self._recycler.check()
        except LimitTooLowError as error:
            get_logger().error("%s", error)
            return
        if reason:
            self._ask_for_replacement(reason, is_fault=False)

    def _ask_for_replacement(self, reason: str, *, is_fault: bool) -> None:
        if not self._asked_for_replacement:
            self._asked_for_replacement = True
            send_report(self._reports, ReplaceMe(reason, is_fault))


def _log_boot_stack(number: int, frame: FrameType | None) -> None:
    """The handler of USR1 while the worker boots: log where it is."""
    # In the handler itself: the main thread does nothing else until the application is loaded.
    get_logger().text("Stack of a worker that is loading the application:\n" + "".join(traceback.format_stack(frame)))


def reopen_logs(program: Program) -> None:
    """Open the log files again; one that cannot be opened stays as it is, and the log says why."""
    try:
        program.reopen_logs()
    except ConfigError as error:
        get_logger().error("Cannot reopen a log file: %s", error)


def exit_process(status: int) -> NoReturn:
    """End this worker's process by the interpreter's shutdown, so that what libraries registered with `atexit` runs.

    The shutdown first waits for threads of the application: an idle `ThreadPoolExecutor` ends at once. If a thread goes
    on, the exit functions run without waiting for it, and the process ends.
    """
    has_begun, is_due = threading.Event(), threading.Event()
    atexit.register(has_begun.set)  # the last one registered is the first to run
    # Both start now: Python 3.12 starts no thread once the shutdown has begun.
    functions = threading.Thread(
        target=_run_exit_functions, args=(is_due,), name="ropewalk-exit-functions", daemon=True
    )
    functions.start()
    arguments = (status, has_begun, is_due, functions)
    threading.Thread(target=_exit_soon, args=arguments, name="ropewalk-exit", daemon=True).start()
    raise SystemExit(status)


def _run_exit_functions(is_due: threading.Event) -> None:
    is_due.wait()
    atexit._run_exitfuncs()


def _exit_soon(status: int, has_begun: threading.Event, is_due: threading.Event, functions: threading.Thread) -> None:
    time.sleep(THREAD_GRACE)
    if has_begun.is_set():
        return  # the functions run in the main thread; the master ends a worker whose functions take too long
    is_due.set()
    functions.join(EXIT_FUNCTIONS_TIMEOUT)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it, its disk is full, it is closed
            stream.flush()
    os._exit(status)


def explain(error: BaseException) -> tuple[str, str]:
    """Why the application could not be loaded: one line, and the traceback of the user's code if that raised."""
    if not isinstance(error, ConfigError):
        return f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error))
    cause = error.__cause__
    return str(error), "" if cause is None else "".join(traceback.format_exception(cause))
