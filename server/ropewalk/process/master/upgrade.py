"""The upgrade of a running server, from the view of either master: the old one and the new one beside it.

USR2 starts a new master with the command and in the directory of the start, so with new code; it inherits the listening
sockets, and both masters serve. Then one of them is stopped: the old one, and the new one takes over its pid file, its
control socket and its service manager; or the new one, and the old one goes on as before.

Over a pipe the new master reports that it is ready, or why it cannot be. The same pipe shows the new one when the old
one is gone: it has no reader any more. Main thread of a master only.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.process.ipc.reports import BootFailed, Ready, Report, ReportReader, send_report
from ropewalk.process.master.api import Refused
from ropewalk.process.system.directory import Directory
from ropewalk.process.system.signals import describe_exit

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import UpgradeStatus

VARIABLE = "ROPEWALK_PREDECESSOR"
"""JSON from the old master to the new: `{"pid": 71, "reports": 9, "listeners": {"0.0.0.0:80": [3, 4]}}`."""

SUFFIX = ".2"
"""Ends the names of the new master's pid file and control socket, as long as the old one has its own."""


class StartCommand(NamedTuple):
    """How this server was started, so that it can be started again."""

    directory: Directory
    environ: Mapping[str, str]
    arguments: tuple[str, ...]
    """The interpreter and what follows it."""

    @classmethod
    def of_this_process(cls, directory: Directory, environ: Mapping[str, str]) -> StartCommand:
        """The command by which this process was started, in `directory`. Raises OSError."""
        resolved = os.getcwd()
        script = directory.rebase(sys.argv[0], resolved)
        return cls(
            directory,
            environ,
            (
                # Not as it was typed: from this path the interpreter finds its virtual environment.
                directory.rebase(sys.executable, resolved),
                *(script if argument == sys.argv[0] else argument for argument in sys.orig_argv[1:]),
            ),
        )


class Predecessor:
    """The old master, which started this one."""

    def __init__(self, pid: int, reports: int, listeners: Mapping[str, Sequence[int]]) -> None:
        self.pid = pid
        self.listeners = listeners
        """Descriptors, by the names of `Upgrade.listeners`."""
        self._reports = reports
        os.set_inheritable(reports, False)

    @classmethod
    def from_environ(cls, environ: MutableMapping[str, str]) -> Predecessor | None:
        """By `VARIABLE`, which is removed; None if this process was not started by an upgrade."""
        text = environ.pop(VARIABLE, "")
        try:
            content = json.loads(text)
            predecessor = cls(content["pid"], content["reports"], content["listeners"])
        except (ValueError, TypeError, KeyError, OSError):
            return None
        return predecessor if predecessor.is_alive or predecessor.has_exited() else None

    @property
    def is_alive(self) -> bool:
        return os.getppid() == self.pid

    def has_exited(self) -> bool:
        """Whether nobody reads the reports any more: it may be gone before this process has begun."""
        poll = select.poll()
        poll.register(self._reports, 0)
        return any(events & select.POLLERR for _, events in poll.poll(0))

    def fileno(self) -> int:
        """Polls as POLLERR once it is gone."""
        return self._reports

    def send(self, report: Report) -> None:
        send_report(self._reports, report)

    def close(self) -> None:
        os.close(self._reports)


class Successor:
    """The new master, which this one started."""

    def __init__(self, pid: int, reports: ReportReader) -> None:
        self.pid = pid
        self.reports = reports
        self.is_ready = False
        self.failure = ""
        """Why it could not serve, as it reported."""

    @classmethod
    def start(cls, command: StartCommand, listeners: Mapping[str, Sequence[int]]) -> Successor:
        """Run the command of the start again, with these descriptors open. Raises OSError, ConfigError."""
        reading_end, writing_end = os.pipe()
        try:
            content = {"pid": os.getpid(), "reports": writing_end, "listeners": listeners}
            inherited = [writing_end, *(descriptor for each in listeners.values() for descriptor in each)]
            with command.directory.entered():
                pid = os.posix_spawn(
                    command.arguments[0],
                    command.arguments,
                    {**command.environ, VARIABLE: json.dumps(content)},
                    file_actions=[(os.POSIX_SPAWN_DUP2, descriptor, descriptor) for descriptor in inherited],
                    setsigmask=[],
                )
        except BaseException:
            os.close(reading_end)
            raise
        finally:
            os.close(writing_end)
        return cls(pid, ReportReader(reading_end))

    def read_reports(self) -> None:
        """Set `is_ready` and `failure` by what it has reported."""
        for report in self.reports.read():
            match report:
                case Ready():
                    self.is_ready = True
                case BootFailed(reason, _):
                    self.failure = reason

    @property
    def is_alive(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def reap(self) -> int | None:
        """Its wait status if it has exited."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return status if pid else None


class UpgradeEvent(Enum):
    """What has happened to the other master."""

    SUCCESSOR_READY = "the new master serves"
    SUCCESSOR_EXITED = "the new master is gone, and this one is alone again"
    PREDECESSOR_EXITED = "the old master is gone, and this one is alone"


class Upgrade:
    """The other masters that this one shares its listening sockets with: at most one at a time."""

    def __init__(self, command: StartCommand | None = None, predecessor: Predecessor | None = None) -> None:
        """Without a command `start` is refused."""
        self.command = command
        self.predecessor = predecessor
        self.successor: Successor | None = None
        self.listeners: Mapping[str, Sequence[int]] = {}
        """The descriptors that a successor inherits, by names that it understands. Set before `start`."""
        self._started = 0.0
        self._last_failure = ""
        """Empty again once an upgrade succeeds."""
        self._log = get_logger()

    @property
    def is_shared(self) -> bool:
        """Whether another master has the listening sockets too, so that they outlive this one."""
        has_successor = self.successor is not None and self.successor.is_alive
        return has_successor or (self.predecessor is not None and self.predecessor.is_alive)

    @property
    def is_successor_ready(self) -> bool:
        """Whether a new master serves."""
        return self.successor is not None and self.successor.is_ready and self.successor.is_alive

    @property
    def is_in_progress(self) -> bool:
        """Whether a new master was started that does not serve yet."""
        return self.successor is not None and not self.successor.is_ready and self.successor.is_alive

    @property
    def successor_pid(self) -> int:
        """The process id of the new master; 0 if there is none."""
        return self.successor.pid if self.successor is not None else 0

    def start(self, before_exec: Callable[[], None]) -> None:
        """Start a new master. Raises Refused; else `before_exec` is called first."""
        if self.successor is not None:
            raise Refused(f"an upgrade is in progress: process {self.successor.pid} is the new master")
        if self.predecessor is not None:
            raise Refused(
                f"the upgrade that started this master is not finished: stop the old master (process "
                f"{self.predecessor.pid}), or this one"
            )
        if os.getpid() == 1:
            raise Refused("this is process 1, and its container ends with it: start a new container instead")
        if self.command is None:
            raise Refused("this server was not started from the command line")
        before_exec()
        try:
            self.successor = Successor.start(self.command, self.listeners)
        except OSError as error:
            self._last_failure = f"starting a new master failed: {error.strerror}"
            raise Refused(self._last_failure) from None
        except ConfigError as error:
            self._last_failure = f"starting a new master failed: {error}"
            raise Refused(self._last_failure) from None
        self._started = time.monotonic()
        self._log.info("Upgrading: new master with pid: %d", self.successor.pid)

    def pollable(self) -> Iterator[tuple[int, int]]:
        """Descriptors, with the poll events to wait for on each, before `check`."""
        if self.successor is not None and self.successor.reports.is_open:
            yield self.successor.reports.fileno(), select.POLLIN
        if self.predecessor is not None:
            yield self.predecessor.fileno(), 0  # POLLERR is always reported

    def check(self, *, is_stopping: bool = False) -> Iterator[UpgradeEvent]:
        """What has happened since the last call. `is_stopping`: this master was asked to stop."""
        if self.successor is not None:
            yield from self._check_successor(self.successor, is_stopping)
        if self.predecessor is not None and not self.predecessor.is_alive:
            self._log.info("The old master (pid: %d) has exited; this one has taken over", self.predecessor.pid)
            self.predecessor.close()
            self.predecessor = None
            yield UpgradeEvent.PREDECESSOR_EXITED

    def _check_successor(self, successor: Successor, is_stopping: bool) -> Iterator[UpgradeEvent]:
        was_ready = successor.is_ready
        successor.read_reports()
        if successor.is_ready and not was_ready:
            self._last_failure = ""
            self._log.info(
                "The new master (pid: %d) is ready after %.1f s%s",
                successor.pid,
                time.monotonic() - self._started,
                ""
                if is_stopping
                else f": send TERM to this one (pid: {os.getpid()}) to complete the upgrade, or to the new one to "
                "cancel it",
            )
            yield UpgradeEvent.SUCCESSOR_READY
        status = successor.reap()
        if status is None:
            return
        successor.read_reports()  # the last of them
        successor.reports.close()
        self.successor = None
        if successor.is_ready:
            keeping = "" if is_stopping else "; keeping the old one"
            self._log.warning("The new master (pid: %d) %s%s", successor.pid, describe_exit(status), keeping)
        else:
            self._last_failure = successor.failure or f"the new master {describe_exit(status)}"
            self._log.error(
                "Upgrade failed%s: %s", "" if is_stopping else "; keeping the old master", self._last_failure
            )
        yield UpgradeEvent.SUCCESSOR_EXITED

    def report_ready(self) -> None:
        """Report to the old master that every worker serves."""
        if self.predecessor is not None:
            self.predecessor.send(Ready())

    def report_failure(self, reason: str) -> None:
        """Report to the old master why this one exits."""
        if self.predecessor is not None:
            self.predecessor.send(BootFailed(reason, ""))

    def close_in_child(self) -> None:
        """Close, in a forked child, what belongs to its master."""
        if self.successor is not None:
            self.successor.reports.close()
        if self.predecessor is not None:
            self.predecessor.close()
        self.successor = self.predecessor = None

    def status(self) -> UpgradeStatus:
        """The state of the upgrade, if there is one."""
        return {
            "predecessor": self.predecessor.pid if self.predecessor is not None else 0,
            "successor": self.successor_pid,
            "successor_ready": self.successor is not None and self.successor.is_ready,
            "last_failure": self._last_failure,
        }


def successor_path(path: str) -> str:
    """The name of the new master's file as long as the old one's is named `path`."""
    return path + SUFFIX
