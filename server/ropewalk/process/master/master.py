"""The master: a single thread around one `poll`, over signals and the pipes of its workers.

Each turn it takes what arrived (signals, reports, deaths), and then compares what is with what should be: too few
workers, one more is forked; more that serve than asked for, one of them is drained, the condemned first. Every
change of workers is made of these two: a reload makes all outdated, a stuck worker condemns itself, fewer workers is a
lower number. Nothing of the application is ever run here.

It is long because all of that is one state: whether it serves, reloads, rests, leaves or ends is decided here, and what
each of these is made of lies in the modules beside.
"""

from __future__ import annotations

import select
import signal
import time
from typing import TYPE_CHECKING

from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.process.ipc.reports import BootFailed, Farewell, Ready, ReplaceMe, Report
from ropewalk.process.master.api import ControlPort, NoControl
from ropewalk.process.master.backoff import Backoff
from ropewalk.process.master.fork import Forking
from ropewalk.process.master.slow_boot import slow_moments, tell_slow
from ropewalk.process.master.stall_clock import StallClock
from ropewalk.process.master.stats import MasterStats
from ropewalk.process.master.upgrade import News, Upgrade
from ropewalk.process.master.worker_handle import WorkerHandle
from ropewalk.process.master.workers import Workers
from ropewalk.process.options import ProcessOptions
from ropewalk.process.states import (
    BOOTING_STATES,
    CHANGING_STATES,
    ENDING_STATES,
    KEEPING_STATES,
    KEPT_STATES,
    MASTER_MOVES,
    MasterState,
    WorkerState,
    move,
)
from ropewalk.process.system.reaper import is_init, reap_orphans
from ropewalk.process.system.sd_notify import Notifier
from ropewalk.process.system.signals import MASTER_SIGNALS, SignalInbox, how_it_ended, name_of
from ropewalk.process.worker.worker import BOOT_FAILED_STATUS, Program, reopen_logs

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import MasterStatus

SHORT_LIFE_SECONDS = 1.0
"""A worker that dies sooner after it was ready is taken for one that cannot live."""


HANDSHAKE_SECONDS = 0.1
"""For connections whose first packet came before nobody was let in any more: a few round trips of most networks."""


class BootError(Exception):
    """No worker could load the application; the message is why, in one line. Exit status 3."""

    status = BOOT_FAILED_STATUS


class Master:
    """Keeps workers. `run` is called once, in the main thread, before any other thread is started."""

    def __init__(
        self,
        program: Program,
        options: ProcessOptions,
        notifier: Notifier | None = None,
        office: ControlPort | None = None,
        succession: Upgrade | None = None,
    ) -> None:
        self._program = program
        self._office: ControlPort = office or NoControl()
        self._office.attach(self)
        self._succession = succession or Upgrade()
        # Until this one is ready, the old master answers at the addresses that both have.
        self._office.rest(self._succession.predecessor is not None)
        self._account = MasterStats()
        self._options = options
        self._target = options.workers
        """How many workers are kept; 0 while the new master serves alone."""
        self._target_before_rest = 0
        self._before_reload = (program, options, options.workers)
        """What a reload that fails goes back to."""
        self._notifier = notifier or Notifier()
        self._next_sign_of_life = 0.0
        """Monotonic; of the next one for the service manager's watchdog."""
        self._logs_opened = 0.0
        """Monotonic; when they were last opened again."""
        self._told_counts: tuple[MasterState, int, int] | None = None
        """Of the last time that the number of ready workers was told: the state, how many, and how many are wanted."""
        self._leave_deadline: float | None = None
        """Monotonic; when what is LEAVING turns away who comes, and then when it begins to drain."""
        self._is_turning_away = False
        self._state = MasterState.SERVING
        self._crew = Workers()
        self._attention = StallClock(time.monotonic())
        self._backoff = Backoff()
        self._is_init = is_init()
        self._has_served = False
        self._boot_failure = ""
        """The last reason, until a first worker is ready; then boots are tried again and again."""
        self._told_details = ""
        self._log = get_logger()

    def run(self) -> None:
        """Serve until told to end. Raises BootError, and what `Hooks.ready` does; in a worker, SystemExit."""
        self._options.hooks.ready()
        try:
            self._inbox = SignalInbox(MASTER_SIGNALS)
            self._forking = Forking(self._abandon)
        except OSError as error:
            raise BootError(f"the master cannot begin: {error.strerror}") from None
        self._regulate()
        while self._crew or (self._state in KEEPING_STATES and not self._boot_failure):
            ready = self._wait()
            self._take_reports()
            self._office.attend(ready)
            self._take_signals()
            self._look_at_the_others()
            self._reap()
            self._kill_overdue()
            self._kill_silent()
            tell_slow(self._crew, self._options.slow_boot, time.monotonic())
            self._drain_when_left()
            self._regulate()
            self._tell_counts()
            self._show_life()
        self._office.abandon()
        self._inbox.close()
        self._forking.close()
        self._options.hooks.exiting()
        if self._boot_failure and not self._has_served and self._state in KEEPING_STATES:
            raise BootError(self._boot_failure)

    # What arrives

    def _wait(self) -> set[int]:
        poll = select.poll()
        poll.register(self._inbox, select.POLLIN)
        for view in self._crew:
            if view.reports.is_open:
                poll.register(view.reports, select.POLLIN)
            if view.channel is not None and view.channel.is_open:
                poll.register(view.channel, select.POLLIN)
        for descriptor, events in (*self._office.pollable(), *self._succession.pollable()):
            poll.register(descriptor, events)
        seconds = self._seconds_to_act()
        self._attention.wait(time.monotonic(), seconds)
        # Rounded up: a poll that ends a moment early would be repeated until the moment has passed.
        ready = poll.poll(None if seconds is None else int(seconds * 1000) + 1)
        self._attention.wake(time.monotonic())
        return {descriptor for descriptor, _ in ready}

    def _seconds_to_act(self) -> float | None:
        now = time.monotonic()
        moments = [max(0.0, view.kill_deadline - now) for view in self._crew if view.kill_deadline]
        if self._options.silence:
            silences = (self._attention.silence(now, view.heard) for view in self._crew.serving())
            moments += [max(0.0, self._options.silence - silence) for silence in silences]
        moments += [max(0.0, moment - now) for moment, _ in slow_moments(self._crew, self._options.slow_boot)]
        if self._lacks_workers():
            moments.append(self._backoff.wait(now))
        if self._leave_deadline is not None:
            moments.append(max(0.0, self._leave_deadline - now))
        office_seconds = self._office.seconds_to_act(now)
        if office_seconds is not None:
            moments.append(office_seconds)
        if self._notifier.watchdog_seconds:
            moments.append(max(0.0, self._next_sign_of_life - now))
        return min(moments, default=None)

    def _take_signals(self) -> None:
        for number in self._inbox.receive():
            if number == signal.SIGCHLD or (number == signal.SIGWINCH and not self._succession.heir):
                continue  # of the latter a terminal sends one whenever its size changes
            self._log.info("Handling signal: %s", name_of(number).removeprefix("SIG").lower())
            match number:
                case signal.SIGTERM:
                    self._leave()
                case signal.SIGINT | signal.SIGQUIT:
                    self._close_all()
                case signal.SIGHUP:
                    self._reload()
                case signal.SIGUSR1:
                    self._reopen_logs()
                case signal.SIGTTIN:
                    self._want_workers(self._target + 1)
                case signal.SIGTTOU:
                    self._want_workers(self._target - 1)
                case signal.SIGUSR2:
                    self.upgrade()
                case signal.SIGWINCH:
                    self._rest()

    def _take_reports(self) -> None:
        for view in self._crew:
            for report in view.reports.read():
                self._take_report(view, report)

    def _take_report(self, view: WorkerHandle, report: Report) -> None:
        view.heard = time.monotonic()
        match report:
            case Ready() if view.state in BOOTING_STATES:
                view.move(WorkerState.READY if view.state is WorkerState.BOOTING else WorkerState.OUTDATED)
                view.ready_since = time.monotonic()
                self._has_served = True
                if self._state is MasterState.LEAVING:
                    view.announce_end()
                if view.started < self._logs_opened:
                    view.reopen_logs()  # it has them from before, and while it boots it hears no signal
            case BootFailed(reason, details):
                view.failure = reason
                if details != self._told_details:  # once for all the workers that fail alike
                    self._told_details = details
                    self._log.text(details)
            case Farewell(counters):
                view.counters = counters
            case ReplaceMe(reason, is_fault) if view.state in (WorkerState.READY, WorkerState.OUTDATED):
                view.move(WorkerState.CONDEMNED)
                self._account.events["replaced"] += 1
                tell = self._log.warning if is_fault else self._log.info
                tell("Worker (pid: %d) is being replaced: %s", view.pid, reason)

    def _reap(self) -> None:
        for view in self._crew:
            was = view.state
            status = view.reap()
            if status is None:
                continue
            for report in view.reports.read():  # what it said last
                if isinstance(report, BootFailed | Farewell):
                    self._take_report(view, report)
            self._crew.remove(view)
            self._options.hooks.gone(view.pid)
            self._office.forget(view)
            if view.counters is not None:
                self._office.count_gone(view.counters)
            if was not in ENDING_STATES:
                self._mourn(view, was, status)
        if self._is_init:
            reap_orphans({view.pid for view in self._crew})

    def _mourn(self, view: WorkerHandle, was: WorkerState, status: int) -> None:
        """A worker ended that was not told to."""
        self._account.events["died"] += 1
        now = time.monotonic()
        how = how_it_ended(status)
        if view.ready_since is not None and now - view.ready_since >= SHORT_LIFE_SECONDS:
            self._backoff.succeed()
            self._log.error("Worker (pid: %d) %s", view.pid, how)
            return
        if was is WorkerState.STALE:
            self._log.error("Worker (pid: %d), forked before the reload, %s", view.pid, how)
            return
        wait = self._backoff.fail(now)
        if self._has_served and self._state is MasterState.RELOADING and was in KEPT_STATES:
            self._give_reload_up(view.failure or f"a new worker {how}")
        elif self._has_served:
            why = f" ({view.failure})" if view.failure else ""
            self._log.error("Worker (pid: %d) %s%s; the next is tried in %.1f s", view.pid, how, why, wait)
        else:
            self._boot_failure = view.failure or f"a worker {how} while it booted"

    # What should be

    def _regulate(self) -> None:
        """Bring the number of workers to what was asked for."""
        now = time.monotonic()
        if self._state not in KEEPING_STATES:
            return
        while self._lacks_workers() and not self._backoff.wait(now):
            if not self._fork():
                break
        for view in self._crew.superfluous(self._target):
            view.drain(now, self._options.graceful_timeout)

    def _lacks_workers(self) -> bool:
        """Whether one is to be forked, now or when the back-off is over."""
        if self._state not in KEEPING_STATES or (self._boot_failure and not self._has_served):
            return False
        return self._crew.lacks(self._target)

    def _want_workers(self, number: int) -> None:
        if self._state in KEEPING_STATES:
            self._change_target(max(1, number))
            self._log.info("Workers wanted: %d", self._target)

    def _change_target(self, number: int) -> None:
        old, self._target = self._target, number
        if number != old:
            self._options.hooks.workers_changed(number, old)

    def _leave(self) -> None:
        """Serve on, not ready any more, for the drain delay: whoever sends requests here is to find out first."""
        if self._state not in CHANGING_STATES:
            return
        delay = self._options.drain_delay
        self._state = move(MASTER_MOVES, self._state, MasterState.LEAVING)
        if not delay or self._succession.is_shared:  # who sends requests here goes on to be served
            self._turn_away()
            return
        self._leave_deadline = time.monotonic() + delay
        self._tell_end(f"Not ready any more; serving on for {delay:g} s")
        self._log.info("Not ready any more; serving on for %g s", delay)
        for view in self._crew.serving():
            view.announce_end()

    def _tell_end(self, status: str) -> None:
        if self._succession.heir:
            self._notifier.hand_over(self._succession.heir, "Upgraded")
        else:
            self._notifier.stopping(status)

    def _drain_when_left(self) -> None:
        if self._leave_deadline is not None and time.monotonic() >= self._leave_deadline:
            if self._is_turning_away:
                self._drain_all()
            else:
                self._turn_away()

    def _turn_away(self) -> None:
        """Have nobody start to connect, and drain once those who had begun to are there."""
        if self._succession.is_shared or not self._program.turn_away():
            self._drain_all()
            return
        self._is_turning_away = True
        self._leave_deadline = time.monotonic() + HANDSHAKE_SECONDS

    def _drain_all(self) -> None:
        if self._state not in KEEPING_STATES:
            return
        self._leave_deadline = None
        self._state = move(MASTER_MOVES, self._state, MasterState.DRAINING)
        self._tell_end("Finishing what is in flight")
        now = time.monotonic()
        for view in self._crew:
            if view.state not in ENDING_STATES:
                view.drain(now, self._options.graceful_timeout)
        self._program.let_go(is_shared=self._succession.is_shared)

    def _close_all(self) -> None:
        if self._state is MasterState.CLOSING:
            return
        self._state = move(MASTER_MOVES, self._state, MasterState.CLOSING)
        self._leave_deadline = None
        self._tell_end("Ending")
        now = time.monotonic()
        for view in self._crew:
            if view.state not in (WorkerState.CLOSING, WorkerState.KILLED):
                view.close(now)
        self._program.let_go(is_shared=self._succession.is_shared)

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for view in self._crew:
            if view.kill_deadline is not None and now >= view.kill_deadline:
                self._log.error("Worker (pid: %d) did not end in time and is killed", view.pid)
                self._account.events["killed"] += 1
                view.kill()

    def _kill_silent(self) -> None:
        now = time.monotonic()
        for view in self._crew.serving() if self._options.silence else ():
            silence = self._attention.silence(now, view.heard)
            if silence >= self._options.silence:
                self._log.error(
                    "Worker (pid: %d) has given no sign of life for %.0f s (it is stopped, or inside a call that does "
                    "not let go of the interpreter) and is killed",
                    view.pid,
                    silence,
                )
                self._account.events["killed"] += 1
                view.kill()

    def _tell_counts(self) -> None:
        """Tell how many workers are ready, whenever that or what is wanted has changed."""
        ready = self._crew.count(WorkerState.READY)
        counts = (self._state, ready, self._target)
        if counts == self._told_counts or self._state not in CHANGING_STATES or not self._target:
            return
        self._told_counts = counts
        if ready != self._target:
            self._notifier.status(f"{ready} of {self._target} workers ready")
            return
        self._account.was_complete = True
        text = f"{ready} {'worker' if ready == 1 else 'workers'}"
        if self._state is MasterState.RELOADING:
            self._state = move(MASTER_MOVES, self._state, MasterState.SERVING)
            self._told_counts = (self._state, ready, self._target)
            self._log.info("Reloaded: %s", text)
            self._account.reload_succeeded()
        else:
            self._log.info("Ready: %s", text)
        self._notifier.ready(f"Serving with {text}")
        self._succession.tell_ready()
        self._office.rest(self._succession.is_followed)

    def _show_life(self) -> None:
        """Tell the service manager's watchdog that this loop comes round and a worker that serves does too."""
        seconds, now = self._notifier.watchdog_seconds, time.monotonic()
        if not seconds or now < self._next_sign_of_life:
            return
        self._next_sign_of_life = now + seconds / 2
        heard = (view.heard for view in self._crew.serving())
        if not self._target or now - max(heard, default=-seconds) < seconds:
            self._notifier.alive()

    # Reload

    def _reload(self) -> str:
        """Read the settings again and replace every worker, the old ones one by one behind a new one that is ready.

        Returns why that cannot be, or "" when it has begun.
        """
        if self._state not in CHANGING_STATES:
            return "the server is ending"
        self._notifier.reloading("Reloading")
        try:
            program, options = self._program.reloaded()
        except (ConfigError, OSError) as error:
            reason = str(error) if isinstance(error, ConfigError) else f"{error.strerror}".lower()
            self._end_failed_reload(reason)
            return reason
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end those that serve
            self._log.exception("a reload met a fault of the server itself")
            self._end_failed_reload(f"{type(error).__name__}: {error}")
            return self._account.last_reload_failure
        self._wake()
        if self._state is MasterState.SERVING:
            self._before_reload = (self._program, self._options, self._target)
            self._state = move(MASTER_MOVES, self._state, MasterState.RELOADING)
        # What TTIN, TTOU or `scale` made of the number lasts, unless the settings now say another one.
        target = self._target if options.workers == self._options.workers else options.workers
        self._program, self._options = program, options
        options.hooks.reloading()
        self._change_target(target)
        self._backoff.succeed()
        self._told_details = ""
        self._crew.supersede()
        return ""

    def _give_reload_up(self, reason: str) -> None:
        """Keep the workers that are left from before, and what they were forked for."""
        self._program, self._options, target = self._before_reload
        self._change_target(target)
        self._state = move(MASTER_MOVES, self._state, MasterState.SERVING)
        self._backoff.succeed()
        self._crew.reinstate()
        self._end_failed_reload(reason)

    def _end_failed_reload(self, reason: str) -> None:
        self._log.error("Reload failed, and the workers from before serve on: %s", reason)
        self._account.reload_failed(reason)
        ready = self._crew.count(WorkerState.READY)
        self._told_counts = (self._state, ready, self._target)
        # For the service manager a reload is over when what serves is ready, whatever became of it.
        self._notifier.ready(f"Reload failed: {reason}")

    # Upgrade

    def upgrade(self) -> str:
        """Start a new master beside this one; why that cannot be, or "" """
        if self._state not in CHANGING_STATES:
            return "the server is ending"
        self._look_at_the_others()  # one that has just ended stands in nobody's way
        self._succession.listeners = self._program.shared()
        reason = self._succession.begin(self._options.hooks.before_exec)
        if reason:
            self._log.warning("No upgrade: %s", reason)
        return reason

    def _look_at_the_others(self) -> None:
        for news in self._succession.look():
            match news:
                case News.READY:
                    self._office.rest(True)
                case News.ENDED:
                    self._office.rest(False)
                    self._wake()
                case News.INHERITED:
                    self._program.promote()
                    self._notifier.promote()
                    self._told_counts = None

    def _rest(self) -> None:
        """Let the new master serve alone, until it ends or HUP comes."""
        if self._state is MasterState.SERVING and self._succession.is_followed and self._target:
            self._target_before_rest = self._target
            self._change_target(0)
            self._log.info("Resting while the new master serves; HUP brings the workers back")

    def _wake(self) -> None:
        if not self._target:
            self._change_target(self._target_before_rest)

    def _reopen_logs(self) -> None:
        reopen_logs(self._program)
        self._logs_opened = time.monotonic()
        for view in self._crew:
            if view.state not in BOOTING_STATES:
                view.reopen_logs()

    # What it can be asked

    def status(self) -> MasterStatus:
        """The state of the master and its workers."""
        return self._account.status(self._state, self._target, self._crew, self._succession.status())

    def workers(self) -> list[WorkerHandle]:
        return list(self._crew)

    def reload(self) -> str:
        """Reload; why that cannot be, or "" when it has begun."""
        return self._reload()

    def stop(self, *, is_quick: bool) -> None:
        """End as TERM does, or as INT does."""
        if is_quick:
            self._close_all()
        else:
            self._leave()

    def scale(self, workers: int) -> str:
        """Keep so many workers; why that cannot be, or "" """
        if self._state not in CHANGING_STATES:
            return "the server is ending"
        self._want_workers(workers)
        return ""

    # The fork

    def _fork(self) -> bool:
        self._options.hooks.before_fork()
        try:
            view = self._forking.fork(self._program, self._options)
        except OSError as error:
            wait = self._backoff.fail(time.monotonic())
            self._log.error("no worker can be forked: %s; tried again in %.1f s", error.strerror, wait)
            return False
        self._crew.add(view)
        self._options.hooks.forked(view.pid)
        self._account.events["forked"] += 1
        self._log.info("Booting worker with pid: %d", view.pid)
        return True

    def _abandon(self) -> None:
        """Give up, in a forked child, what is the master's alone."""
        self._inbox.abandon()
        self._crew.abandon()
        self._succession.abandon()
        self._office.abandon()
