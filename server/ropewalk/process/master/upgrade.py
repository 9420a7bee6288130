"""The masters before and behind this one: an upgrade of the running server, and taking it back.

USR2 starts a new master, by the command and in the directory of the start, so with new code; it inherits the listening
sockets. Both serve. Then either is ended: the old one, and the new one takes over its pid file, its control socket and
its service manager; or the new one, and the old one goes on as if nothing had been.

Over a pipe the new one tells when it is ready, or why it cannot be. The other way the same pipe tells that the old one
is gone: nobody reads it any more. Main thread of a master only.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import chdir
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from ropewalk.logs.error_log import get_logger
from ropewalk.process.ipc.reports import BootFailed, Ready, Report, ReportReader, send_report
from ropewalk.process.system.signals import how_it_ended

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import UpgradeStatus

VARIABLE = "ROPEWALK_PREDECESSOR"
"""JSON that the old master leaves to the new: `{"pid": 71, "reports": 9, "listeners": {"0.0.0.0:80": [3, 4]}}`."""

SUFFIX = ".2"
"""Behind the names of the new master's pid file and control socket, while the old one has theirs."""


class Command(NamedTuple):
    """How this server was started, so that it can be started again."""

    directory: str
    environ: Mapping[str, str]


class Predecessor:
    """The master that started this one."""

    def __init__(self, pid: int, reports: int, listeners: Mapping[str, Sequence[int]]) -> None:
        self.pid = pid
        self.listeners = listeners
        """Descriptors, by what the old master calls them."""
        self._reports = reports
        os.set_inheritable(reports, False)

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Predecessor | None:
        """What the environment says, which is taken out of it; None when nobody started this process so."""
        text = environ.pop(VARIABLE, "")
        try:
            content = json.loads(text)
            predecessor = cls(content["pid"], content["reports"], content["listeners"])
        except (ValueError, TypeError, KeyError, OSError):
            return None
        return predecessor if predecessor.is_alive else None

    @property
    def is_alive(self) -> bool:
        return os.getppid() == self.pid

    def fileno(self) -> int:
        """Has POLLERR when it is gone."""
        return self._reports

    def tell(self, report: Report) -> None:
        send_report(self._reports, report)

    def close(self) -> None:
        os.close(self._reports)


class Successor:
    """The master that this one started."""

    def __init__(self, pid: int, reports: ReportReader) -> None:
        self.pid = pid
        self.reports = reports
        self.is_ready = False
        self.failure = ""
        """Why it could not serve, in its own words."""

    @classmethod
    def start(cls, command: Command, listeners: Mapping[str, Sequence[int]]) -> Successor:
        """Run the command of the start again, with these descriptors open. Raises OSError."""
        reading_end, writing_end = os.pipe()
        try:
            content = {"pid": os.getpid(), "reports": writing_end, "listeners": listeners}
            kept = [writing_end, *(descriptor for each in listeners.values() for descriptor in each)]
            with chdir(command.directory):
                pid = os.posix_spawn(
                    sys.executable,
                    # Not as it was typed: by its name the interpreter finds out in which environment it is.
                    [sys.executable, *sys.orig_argv[1:]],
                    {**command.environ, VARIABLE: json.dumps(content)},
                    file_actions=[(os.POSIX_SPAWN_DUP2, descriptor, descriptor) for descriptor in kept],
                    setsigmask=[],
                )
        except BaseException:
            os.close(reading_end)
            raise
        finally:
            os.close(writing_end)
        return cls(pid, ReportReader(reading_end))

    def look(self) -> None:
        """Take what it told."""
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
        """Its wait status, once it has ended."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return status if pid else None


class News(Enum):
    """What became of the others since the last look."""

    READY = "the new master serves"
    ENDED = "the new master is gone, and this one is alone again"
    INHERITED = "the old master is gone, and this one is alone"


class Upgrade:
    """Who else holds the sockets of this master."""

    def __init__(self, command: Command | None = None, predecessor: Predecessor | None = None) -> None:
        """Without a command nothing can be upgraded."""
        self.command = command
        self.predecessor = predecessor
        self.successor: Successor | None = None
        self.listeners: Mapping[str, Sequence[int]] = {}
        """What a successor gets: descriptors, by names that it understands. Set before `begin`."""
        self._began = 0.0
        self._last_failure = ""
        """Of the last upgrade, until one succeeds."""
        self._log = get_logger()

    @property
    def is_shared(self) -> bool:
        """Whether another master holds the sockets too: then they do not end with this one."""
        has_successor = self.successor is not None and self.successor.is_alive
        return has_successor or (self.predecessor is not None and self.predecessor.is_alive)

    @property
    def is_followed(self) -> bool:
        """Whether a new master serves."""
        return self.successor is not None and self.successor.is_ready and self.successor.is_alive

    @property
    def heir(self) -> int:
        """The process id of the new master; 0 for none."""
        return self.successor.pid if self.successor is not None else 0

    def begin(self, before: Callable[[], None]) -> str:
        """Start a new master; why that cannot be, or "". `before` is called before one is started."""
        if self.successor is not None:
            return f"an upgrade is under way: process {self.successor.pid} is the new master"
        if self.predecessor is not None:
            return f"the upgrade that made this master is not over: end process {self.predecessor.pid}, or this one"
        if os.getpid() == 1:
            return "this is process 1, and with its end its container ends: start a new container instead"
        if self.command is None:
            return "this server was not started by a command"
        before()
        try:
            self.successor = Successor.start(self.command, self.listeners)
        except OSError as error:
            return self._fail(f"no new master can be started: {error.strerror}")
        self._began = time.monotonic()
        self._log.info("Upgrading: new master with pid: %d", self.successor.pid)
        return ""

    def pollable(self) -> Iterator[tuple[int, int]]:
        if self.successor is not None and self.successor.reports.is_open:
            yield self.successor.reports.fileno(), select.POLLIN
        if self.predecessor is not None:
            yield self.predecessor.fileno(), 0  # POLLERR comes unasked

    def look(self) -> Iterator[News]:
        """What became of the others."""
        if self.successor is not None:
            yield from self._look_at_successor(self.successor)
        if self.predecessor is not None and not self.predecessor.is_alive:
            self._log.info("The old master (pid: %d) has ended; this one has taken over", self.predecessor.pid)
            self.predecessor.close()
            self.predecessor = None
            yield News.INHERITED

    def _look_at_successor(self, successor: Successor) -> Iterator[News]:
        was_ready = successor.is_ready
        successor.look()
        if successor.is_ready and not was_ready:
            self._last_failure = ""
            self._log.info(
                "The new master (pid: %d) is ready after %.1f s: TERM to this one (pid: %d) ends the upgrade, "
                "TERM to the new one takes it back",
                successor.pid,
                time.monotonic() - self._began,
                os.getpid(),
            )
            yield News.READY
        status = successor.reap()
        if status is None:
            return
        successor.look()  # what it said last
        successor.reports.close()
        self.successor = None
        if successor.is_ready:
            self._log.warning("The new master (pid: %d) %s; this one serves on", successor.pid, how_it_ended(status))
        else:
            self._fail(successor.failure or f"the new master {how_it_ended(status)}")
        yield News.ENDED

    def _fail(self, reason: str) -> str:
        self._last_failure = reason
        self._log.error("Upgrade failed, and this master serves on: %s", reason)
        return reason

    def tell_ready(self) -> None:
        """Tell the old master that every worker serves."""
        if self.predecessor is not None:
            self.predecessor.tell(Ready())

    def tell_failure(self, reason: str) -> None:
        """Tell the old master why this one ends."""
        if self.predecessor is not None:
            self.predecessor.tell(BootFailed(reason, ""))

    def abandon(self) -> None:
        """Give up, in a forked child, what is its master's."""
        if self.successor is not None:
            self.successor.reports.close()
        if self.predecessor is not None:
            self.predecessor.close()
        self.successor = self.predecessor = None

    def status(self) -> UpgradeStatus:
        """The state of the upgrade, if there is one."""
        return {
            "predecessor": self.predecessor.pid if self.predecessor is not None else 0,
            "successor": self.heir,
            "successor_ready": self.successor is not None and self.successor.is_ready,
            "last_failure": self._last_failure,
        }


def second_name(path: str) -> str:
    """The name that the new master's file has while the old one's has `path`."""
    return path + SUFFIX
