"""The master: a single thread around one `poll`, over signals and the pipes of its workers.

Each turn it handles what has arrived (signals, reports, exits), and then compares the workers that it has with those
that it should have: if one is missing, it forks one; if more serve than it should have, it drains one, the retiring
first. Every change of workers comes down to these two: a reload marks all of them outdated, a stuck worker asks to be
replaced, fewer workers is a lower target. It never runs the application.

It is long because all of that depends on one state: whether the master serves, reloads, stands by or stops is decided
here, and the parts it is made of are in the modules beside it.
"""

from __future__ import annotations

import atexit
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ropewalk import forked
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.process.ipc.reports import (
    BootFailed,
    FilesChanged,
    FinalCounters,
    Ready,
    ReplaceMe,
    Report,
    ShowsFailure,
)
from ropewalk.process.master.api import ControlPort, NoControl, Refused
from ropewalk.process.master.backoff import Backoff
from ropewalk.process.master.fork import Forker
from ropewalk.process.master.liveness import Liveness
from ropewalk.process.master.stats import MasterStats
from ropewalk.process.master.upgrade import Upgrade, UpgradeEvent
from ropewalk.process.master.worker_handle import WorkerHandle
from ropewalk.process.master.workers import Workers
from ropewalk.process.options import ProcessOptions
from ropewalk.process.states import (
    BOOTING_STATES,
    CURRENT_STATES,
    EXITING_STATES,
    FORKING_STATES,
    MASTER_MOVES,
    RUNNING_STATES,
    STOPPING_STATES,
    MasterState,
    WorkerState,
    move,
)
from ropewalk.process.system.reaper import is_init, reap_orphans
from ropewalk.process.system.sd_notify import Notifier
from ropewalk.process.system.signals import MASTER_SIGNALS, SignalInbox, describe_exit, ignore_handled, name_of
from ropewalk.process.system.terminal import StartTerminal
from ropewalk.process.worker.worker import BOOT_FAILED_STATUS, Program, reopen_logs

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import MasterStatus

SHORT_LIFE_SECONDS = 1.0
"""A worker that dies sooner after it was ready counts as one that could not boot."""


HANDSHAKE_SECONDS = 0.1
"""For connections whose first packet came before new ones were refused: a few round trips of most networks."""

REPEATED_SECONDS = 0.2
"""INT again so soon is the same Ctrl-C: the terminal sends it to all programs in front, and some pass it on."""


class BootError(Exception):
    """No worker could load the application; the message is why, in one line. Exit status 3."""

    status = BOOT_FAILED_STATUS


class Master:
    """Keeps workers running. `run` is called once, in the main thread, before any other thread is started."""

    def __init__(
        self,
        program: Program,
        options: ProcessOptions,
        notifier: Notifier | None = None,
        control: ControlPort | None = None,
        upgrade: Upgrade | None = None,
        greeting: str = "",
    ) -> None:
        """`greeting` is logged once, when the first worker is ready: where nothing is, a URL would be of no use."""
        self._program = program
        self._options = options
        self._target = options.workers
        """How many workers to keep; 0 on standby."""
        self._target_before_standby = 0
        self._before_reload = (program, options, options.workers)
        """What the master returns to if a reload fails."""
        self._state = MasterState.SERVING
        self._workers = Workers()
        self._backoff = Backoff()
        self._stats = MasterStats()
        self._notifier = notifier or Notifier()
        self._liveness = Liveness(self._workers, self._stats, self._notifier)
        self._upgrade = upgrade or Upgrade()
        self._control: ControlPort = control or NoControl()
        self._control.attach(self)
        # Until this master is ready, the old one responds on the sockets that both have.
        self._control.set_standby(self._upgrade.predecessor is not None)
        self._greeting = greeting
        self._terminal = StartTerminal()
        self._logs_reopened = 0.0
        """Monotonic; the last time."""
        self._reported: tuple[MasterState, int, int] | None = None
        """The state, the ready workers and the target, when their number was last reported."""
        self._stop_deadline: float | None = None
        """Monotonic; the end of the time for a new master, of the drain delay, and then of the time for handshakes."""
        self._refuses_new_connections = False
        self._closing_since = 0.0
        """Monotonic; set by `_close_all`."""
        self._is_init = is_init()
        self._has_served = False
        self._boot_failure = ""
        """Why a worker could not boot, while none ever could; afterwards each failure is retried."""
        self._logged_traceback = ""
        self._log = get_logger()

    def run(self) -> None:
        """Serve until asked to stop. Raises BootError, and what `Hooks.ready` does; in a worker, SystemExit."""
        self._options.hooks.ready()
        atexit.register(ignore_handled, MASTER_SIGNALS)  # in the workers, too: they inherit it
        try:
            self._inbox = SignalInbox(MASTER_SIGNALS)
            self._forker = Forker(self._close_in_child)
        except OSError as error:
            raise BootError(f"cannot start the master: {error.strerror}") from None
        forked.on_fork(self._release_in_child)
        self._fork_and_drain()
        while self._workers or (self._state in FORKING_STATES and not self._boot_failure):
            ready = self._wait()
            self._read_reports()
            self._control.handle_events(ready)
            self._handle_signals()
            self._check_upgrade()
            self._reap()
            self._liveness.check(self._options, time.monotonic())
            self._check_stop_deadline()
            self._fork_and_drain()
            self._check_ready()
            self._liveness.notify_watchdog(self._target, time.monotonic())
        forked.cancel(self._release_in_child)
        self._control.close()
        self._inbox.close(is_process_exiting=True)
        self._forker.close()
        self._options.hooks.exiting()
        if self._boot_failure and not self._has_served and self._state in FORKING_STATES:
            raise BootError(self._boot_failure)

    # Events

    def _wait(self) -> set[int]:
        poll = select.poll()
        poll.register(self._inbox, select.POLLIN)
        for worker in self._workers:
            if worker.reports.is_open:
                poll.register(worker.reports, select.POLLIN)
            if worker.channel is not None and worker.channel.is_open:
                poll.register(worker.channel, select.POLLIN)
        for descriptor, events in (*self._control.pollable(), *self._upgrade.pollable()):
            poll.register(descriptor, events)
        seconds = self._seconds_until_due()
        self._liveness.clock.before_wait(time.monotonic(), seconds)
        # Rounded up: a poll that returned a moment early would be repeated until the moment has passed.
        ready = poll.poll(None if seconds is None else int(seconds * 1000) + 1)
        self._liveness.clock.after_wait(time.monotonic())
        return {descriptor for descriptor, _ in ready}

    def _seconds_until_due(self) -> float | None:
        now = time.monotonic()
        deadlines = list(self._liveness.deadlines(self._options, now))
        if self._needs_worker():
            deadlines.append(now + self._backoff.seconds_left(now))
        if self._stop_deadline is not None:
            deadlines.append(self._stop_deadline)
        control_seconds = self._control.seconds_until_due(now)
        if control_seconds is not None:
            deadlines.append(now + control_seconds)
        return max(0.0, min(deadlines) - now) if deadlines else None

    def _handle_signals(self) -> None:
        # Of signals that arrive together, the kernel lets TERM come before USR2, which would then be refused.
        for number in sorted(self._inbox.receive(), key=lambda number: number != signal.SIGUSR2):
            if number == signal.SIGCHLD or (number == signal.SIGWINCH and not self._upgrade.successor_pid):
                continue  # a terminal sends WINCH whenever its size changes
            self._log.routine("Handling signal: %s", name_of(number).removeprefix("SIG").lower())
            with suppress(Refused):  # logged where it is raised
                self._handle_signal(number)

    def _handle_signal(self, number: int) -> None:
        match number:
            case signal.SIGTERM:
                self._stop()
            case signal.SIGINT | signal.SIGQUIT if self._state is MasterState.CLOSING:
                self._kill_all()
            case signal.SIGINT | signal.SIGQUIT:
                self._close_all()
            case signal.SIGHUP if self._terminal.is_closed():
                self._close_all()  # nobody could end it, or see what it logs
            case signal.SIGHUP:
                self.reload()
            case signal.SIGUSR1:
                self._reopen_logs()
            case signal.SIGUSR2:
                self.upgrade()
            case signal.SIGTTIN:
                self._set_workers(self._target + 1)
            case signal.SIGTTOU:
                self._set_workers(self._target - 1)
            case signal.SIGWINCH:
                self._enter_standby()

    def _read_reports(self) -> None:
        for worker in self._workers:
            for report in worker.reports.read():
                self._handle_report(worker, report)

    def _handle_report(self, worker: WorkerHandle, report: Report) -> None:
        worker.last_report = time.monotonic()
        match report:
            case Ready() if worker.state in BOOTING_STATES:
                worker.move(WorkerState.READY if worker.state is WorkerState.BOOTING else WorkerState.OUTDATED)
                worker.ready_since = time.monotonic()
                self._has_served = True
                if self._state is MasterState.STOPPING:
                    worker.announce_end()
                if worker.started < self._logs_reopened:
                    worker.reopen_logs()  # it opened them before, and was not sent the signal while it booted
            case ShowsFailure():
                worker.shows_failure = True
            case BootFailed(reason, details):
                worker.failure = reason
                if details != self._logged_traceback:  # once, if several workers fail alike
                    self._logged_traceback = details
                    self._log.text(details)
            case FinalCounters(counters):
                worker.counters = counters
            case ReplaceMe(reason, is_fault) if worker.state in (WorkerState.READY, WorkerState.OUTDATED):
                worker.move(WorkerState.RETIRING)
                self._stats.events["replaced"] += 1
                log = self._log.warning if is_fault else self._log.info
                log("Worker (pid: %d) is being replaced: %s", worker.pid, reason)
            case FilesChanged() if worker.state not in EXITING_STATES:
                self._restart_workers(report)

    def _reap(self) -> None:
        for worker in self._workers:
            last_state = worker.state
            status = worker.reap()
            if status is None:
                continue
            for report in worker.reports.read():  # the last of them
                if isinstance(report, BootFailed | FinalCounters):
                    self._handle_report(worker, report)
            self._workers.remove(worker)
            self._options.hooks.worker_exited(worker.pid)
            self._control.worker_exited(worker)
            # TERM to the whole process group reaches the workers too, and they drain and exit by themselves.
            was_stopped = self._state in STOPPING_STATES and status == 0
            if last_state not in EXITING_STATES and not was_stopped:
                self._handle_death(worker, last_state, describe_exit(status))
        if self._is_init:
            reap_orphans({worker.pid for worker in self._workers})

    def _handle_death(self, worker: WorkerHandle, last_state: WorkerState, how: str) -> None:
        """A worker has exited that was not asked to."""
        self._stats.events["died"] += 1
        now = time.monotonic()
        if worker.ready_since is not None and now - worker.ready_since >= SHORT_LIFE_SECONDS:
            self._backoff.reset()
            self._log.error("Worker (pid: %d) %s", worker.pid, how)
            return
        if last_state is WorkerState.STALE:
            self._log.error("Worker (pid: %d) from before the reload %s", worker.pid, how)
            return
        if self._stand_in(worker, last_state, how):
            return
        seconds = self._backoff.fail(now)
        if self._has_served and self._state is MasterState.RELOADING and last_state in CURRENT_STATES:
            self._undo_reload(worker.failure or f"a new worker {how}")
        elif self._has_served:
            why = f" ({worker.failure})" if worker.failure else ""
            self._log.error("Worker (pid: %d) %s%s; starting another in %.1f s", worker.pid, how, why, seconds)
        else:
            self._boot_failure = worker.failure or f"a worker {how} while it was booting"

    # The number of workers

    def _fork_and_drain(self) -> None:
        """Bring the number of workers to the target, one worker at a time."""
        if self._state not in FORKING_STATES:
            return
        now = time.monotonic()
        while self._needs_worker() and not self._backoff.seconds_left(now):
            if not self._fork():
                break
        for worker in self._workers.to_drain(self._target):
            worker.drain(now, self._options.graceful_timeout)

    def _needs_worker(self) -> bool:
        """Whether a worker is to be forked, now or after the back-off."""
        if self._state not in FORKING_STATES or (self._boot_failure and not self._has_served):
            return False
        if self._refuses_new_connections:
            return False  # it would have nothing to serve when it has booted
        return self._workers.needs_worker(self._target)

    def _fork(self) -> bool:
        self._options.hooks.before_fork()
        try:
            worker = self._forker.fork(self._program, self._options)
        except OSError as error:
            seconds = self._backoff.fail(time.monotonic())
            self._log.error("Cannot fork a worker: %s; retrying in %.1f s", error.strerror, seconds)
            return False
        self._workers.add(worker)
        self._options.hooks.forked(worker.pid)
        self._stats.events["forked"] += 1
        self._log.routine("Booting worker with pid: %d", worker.pid)
        return True

    def _close_in_child(self) -> None:
        """Close, in a forked child, what only the master needs."""
        self._inbox.close_in_child()
        self._workers.close_in_child()
        self._upgrade.close_in_child()
        self._control.close()

    def _release_in_child(self) -> None:
        """Give up, in a process that a hook forked, what belongs to the master."""
        self._inbox.release_in_child()
        self._forker.close()
        self._workers.close_in_child()
        self._upgrade.close_in_child()
        self._control.close()

    def _set_workers(self, number: int) -> None:
        if self._state in FORKING_STATES:
            self._set_target(min(max(1, number), self._options.max_workers))
            self._log.info("Number of workers set to %d", self._target)

    def _set_target(self, number: int) -> None:
        old, self._target = self._target, number
        if number != old:
            self._options.hooks.workers_changed(number, old)

    def _check_ready(self) -> None:
        """Report the number of ready workers if it has changed; if none is missing, a start or a reload is complete."""
        ready = self._workers.count(WorkerState.READY)
        counts = (self._state, ready, self._target)
        if counts == self._reported or self._state not in RUNNING_STATES or not self._target:
            return
        self._reported = counts
        if ready and self._greeting:
            self._log.text(self._greeting)
            self._greeting = ""
        if ready != self._target:
            self._notifier.status(f"{ready} of {self._target} workers ready")
        elif self._state is MasterState.RELOADING:
            self._finish_reload()
        else:
            self._log_ready("Ready", ready)
            self._report_ready()

    def _log_ready(self, what: str, number: int) -> None:
        if any(worker.shows_failure for worker in self._workers if worker.state in CURRENT_STATES):
            self._log.info("Waiting for a file to change; until then every response says why")
        else:
            self._log.info("%s: %s", what, _workers_text(number))

    def _report_ready(self) -> None:
        """Let the service manager, the old master and the control layer know that all workers serve."""
        self._stats.has_been_ready = True
        self._notifier.ready(f"Serving with {_workers_text(self._target)}")
        self._upgrade.report_ready()
        self._control.set_standby(self._upgrade.is_successor_ready)

    # Stopping

    def _stop(self) -> None:
        """Keep serving for the drain delay, not ready any more, so that those who send requests notice; then drain."""
        if self._state is MasterState.HANDING_OVER:
            self._stop_without_successor("asked to stop again")
        elif self._state in RUNNING_STATES and self._upgrade.is_in_progress:
            self._await_successor()
        elif self._state in RUNNING_STATES:
            self._begin_stop()

    def _await_successor(self) -> None:
        """Keep serving until the new master does: to end before would leave nobody to serve."""
        self._state = move(MASTER_MOVES, self._state, MasterState.HANDING_OVER)
        seconds = self._options.handover
        self._stop_deadline = time.monotonic() + seconds
        self._notifier.status("Stopping once the new master is ready")
        self._log.info(
            "Stopping once the new master (pid: %d) is ready, or after %g s; TERM again stops at once",
            self._upgrade.successor_pid,
            seconds,
        )

    def _stop_without_successor(self, why: str) -> None:
        self._log.warning(
            "Stopping before the new master (pid: %d) is ready: %s; new connections wait for it",
            self._upgrade.successor_pid,
            why,
        )
        self._begin_stop()

    def _begin_stop(self) -> None:
        self._stop_deadline = None
        delay = self._options.drain_delay
        self._state = move(MASTER_MOVES, self._state, MasterState.STOPPING)
        if not delay or self._upgrade.is_shared:  # another master goes on serving at the same addresses
            self._refuse_connections()
            return
        self._stop_deadline = time.monotonic() + delay
        self._notify_stopping(f"No longer ready; still serving for {delay:g} s")
        self._log.info("No longer ready; still serving for %g s", delay)
        for worker in self._workers.serving():
            worker.announce_end()

    def _check_stop_deadline(self) -> None:
        if self._stop_deadline is not None and time.monotonic() >= self._stop_deadline:
            if self._state is MasterState.HANDING_OVER:
                self._stop_without_successor(f"it was not within {self._options.handover:g} s")
            elif self._refuses_new_connections:
                self._drain_all()
            else:
                self._refuse_connections()

    def _refuse_connections(self) -> None:
        """Refuse new connections, and drain once those have arrived whose handshake had begun."""
        if self._upgrade.is_shared or not self._program.refuse_new_connections():
            self._drain_all()
            return
        self._refuses_new_connections = True
        self._stop_deadline = time.monotonic() + HANDSHAKE_SECONDS

    def _drain_all(self) -> None:
        if self._state not in FORKING_STATES:
            return
        self._stop_deadline = None
        self._state = move(MASTER_MOVES, self._state, MasterState.DRAINING)
        self._notify_stopping("Finishing requests in flight")
        now = time.monotonic()
        for worker in self._workers:
            if worker.state not in EXITING_STATES:
                worker.drain(now, self._options.graceful_timeout)
        self._program.release_listeners(is_shared=self._upgrade.is_shared)

    def _close_all(self) -> None:
        if self._state is MasterState.CLOSING:
            return
        if self._upgrade.is_in_progress:
            self._log.warning(
                "Stopping before the new master (pid: %d) is ready; new connections wait for it",
                self._upgrade.successor_pid,
            )
        self._state = move(MASTER_MOVES, self._state, MasterState.CLOSING)
        self._stop_deadline = None
        self._notify_stopping("Stopping")
        now = self._closing_since = time.monotonic()
        for worker in self._workers:
            if worker.state not in (WorkerState.CLOSING, WorkerState.KILLED):
                worker.close(now)
        self._program.release_listeners(is_shared=self._upgrade.is_shared)

    def _kill_all(self) -> None:
        """A second Ctrl-C: wait for no worker any longer."""
        now = time.monotonic()
        if now >= self._closing_since + REPEATED_SECONDS:
            for worker in self._workers:
                if worker.state is WorkerState.CLOSING:
                    worker.kill_deadline = now

    def _notify_stopping(self, status: str) -> None:
        if self._upgrade.successor_pid:
            self._notifier.hand_over(self._upgrade.successor_pid, "Upgraded")
        else:
            self._notifier.stopping(status)

    # Reload

    def reload(self) -> None:
        """Read the settings again and start to replace the workers, each old one after a new one is ready.

        Raises Refused, and then nothing has changed.
        """
        self._check_running("reload")
        self._notifier.reloading("Reloading")
        try:
            program, options = self._program.reload()
        except ConfigError as error:
            raise self._fail_reload(str(error)) from None
        except OSError as error:
            raise self._fail_reload(f"{error.strerror}".lower()) from None
        except Exception as error:  # noqa: BLE001 - no error here may end the workers that serve
            self._log.exception("Internal error in a reload")
            raise self._fail_reload(f"{type(error).__name__}: {error}") from None
        self._leave_standby()
        if self._state is MasterState.SERVING:
            self._before_reload = (self._program, self._options, self._target)
            self._state = move(MASTER_MOVES, self._state, MasterState.RELOADING)
        # The number that TTIN, TTOU or `scale` has set lasts, unless the setting itself has changed.
        target = self._target if options.workers == self._options.workers else options.workers
        self._program, self._options = program, options
        options.hooks.reloading()
        self._set_target(target)
        self._backoff.reset()
        self._logged_traceback = ""
        self._workers.mark_outdated()

    def _finish_reload(self) -> None:
        """Every worker was replaced, and is ready."""
        self._state = move(MASTER_MOVES, self._state, MasterState.SERVING)
        self._reported = (self._state, self._target, self._target)
        self._stats.reload_succeeded()
        self._log_ready("Reloaded", self._target)
        self._report_ready()

    def _undo_reload(self, reason: str) -> None:
        """Keep the remaining old workers, and the program and options that they were forked with."""
        self._program, self._options, target = self._before_reload
        self._set_target(target)
        self._state = move(MASTER_MOVES, self._state, MasterState.SERVING)
        self._backoff.reset()
        self._workers.restore_outdated()
        self._fail_reload(reason)

    def _fail_reload(self, reason: str) -> Refused:
        self._log.error("Reload failed; keeping the old workers: %s", reason)
        self._stats.reload_failed(reason)
        self._reported = (self._state, self._workers.count(WorkerState.READY), self._target)
        # For the service manager, a reload that failed is over as well.
        self._notifier.ready(f"Reload failed: {reason}")
        return Refused(reason)

    # Development

    def _restart_workers(self, report: FilesChanged) -> None:
        """Files have changed: end all workers and start others, for which new connections wait."""
        development = self._options.development
        if development is None or self._state not in RUNNING_STATES:
            return
        development.changed(report)
        try:
            program, options = self._program.reload()
        except (ConfigError, OSError) as error:
            self._log.error("Not restarted: %s", error if isinstance(error, ConfigError) else error.strerror)
            return
        self._program, self._options = program, options
        self._backoff.reset()
        self._logged_traceback = ""
        self._has_served = True  # what cannot boot from now on may be mended
        if self._state is MasterState.RELOADING:
            self._state = move(MASTER_MOVES, self._state, MasterState.SERVING)
        now = time.monotonic()
        for worker in self._workers:
            if worker.state not in EXITING_STATES:
                worker.drain(now, options.graceful_timeout)

    def _stand_in(self, worker: WorkerHandle, last_state: WorkerState, how: str) -> bool:
        """In development: show why a worker could not boot, until a file changes. Returns whether that is possible."""
        development = self._options.development
        reason = worker.failure or f"a worker {how} while it was booting"
        if development is None or last_state not in BOOTING_STATES or not development.stand_in(reason):
            return False
        self._log.error("The application cannot be loaded: %s", reason)
        return True

    # Upgrade

    def upgrade(self) -> None:
        """Start a new master beside this one. Raises Refused."""
        self._check_running("upgrade")
        self._check_upgrade()  # another master that has just exited is no obstacle
        self._upgrade.listeners = self._program.inheritable_fds()
        try:
            self._upgrade.start(self._options.hooks.before_exec)
        except Refused as error:
            self._log.warning("Cannot upgrade: %s", error)
            raise

    def _check_upgrade(self) -> None:
        for event in self._upgrade.check(is_stopping=self._state not in RUNNING_STATES):
            match event:
                case UpgradeEvent.SUCCESSOR_READY:
                    self._control.set_standby(True)
                    if self._state is MasterState.HANDING_OVER:
                        self._begin_stop()
                case UpgradeEvent.SUCCESSOR_EXITED:
                    self._control.set_standby(False)
                    self._leave_standby()
                    if self._state is MasterState.HANDING_OVER:
                        self._log.error("Stopping as asked, although no new master serves")
                        self._begin_stop()
                case UpgradeEvent.PREDECESSOR_EXITED:
                    self._program.take_over_files()
                    self._notifier.unmute()
                    self._reported = None

    def _enter_standby(self) -> None:
        """Drain the workers while the new master serves, until it exits or HUP comes."""
        if self._state is MasterState.SERVING and self._upgrade.is_successor_ready and self._target:
            self._target_before_standby = self._target
            self._set_target(0)
            self._log.info("Draining the workers while the new master serves; send HUP to start them again")
        elif not self._upgrade.is_successor_ready:
            self._log.warning("WINCH has no effect: the new master is not ready yet")

    def _leave_standby(self) -> None:
        if not self._target:
            self._set_target(self._target_before_standby)

    def _reopen_logs(self) -> None:
        reopen_logs(self._program)
        self._logs_reopened = time.monotonic()
        for worker in self._workers:
            if worker.state not in BOOTING_STATES:
                worker.reopen_logs()

    # For the control layer, with `reload` and `upgrade`

    def status(self) -> MasterStatus:
        """The state of the master and its workers, as known without querying them."""
        return self._stats.status(self._state, self._target, self._workers, self._upgrade.status())

    def workers(self) -> list[WorkerHandle]:
        """The workers that have not been reaped."""
        return list(self._workers)

    def scale(self, workers: int) -> None:
        """Set the number of workers. Raises Refused."""
        self._check_running("scale")
        self._set_workers(workers)

    def stop(self, *, is_quick: bool) -> None:
        """Stop, as on TERM, or quickly, as on INT."""
        if is_quick:
            self._close_all()
        else:
            self._stop()

    def _check_running(self, action: str) -> None:
        """Raise Refused if the master was asked to stop."""
        if self._state not in RUNNING_STATES:
            reason = "the server is stopping"
            self._log.warning("Cannot %s: %s", action, reason)
            raise Refused(reason)


def _workers_text(number: int) -> str:
    return f"{number} {'worker' if number == 1 else 'workers'}"
