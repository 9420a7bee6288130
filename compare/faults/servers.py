"""The servers that are tested, how each is started, and one while it runs.

All are given the same: workers, threads, times, a log of requests and one of errors. The rest is their default.
"""

from __future__ import annotations

import importlib.metadata
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from faults.client import Client, Request
from faults.outcomes import End
from faults.processes import (
    AS_NOBODY,
    NOBODY,
    children,
    is_alive,
    listening_port,
    of_session,
    program_version,
    wait_for,
)

APPLICATIONS = Path(__file__).with_name("applications")
SERVER = Path(__file__).resolve().parents[2] / "server"

START_SECONDS = 20.0
GRACEFUL_SECONDS = 10
KEEP_ALIVE_SECONDS = 75  # gunicorn's default of 2 would close what the load has not finished with


@dataclass(frozen=True, slots=True)
class Start:
    """What a scenario needs a server to be started with."""

    workers: int = 3
    threads: int = 4
    timeout: int = 30  # seconds
    access_log: str = "access.log"  # in the folder of the run; `-` is standard output
    error_log: str = "error.log"
    descriptors: int = 0  # that a process may have; 0: as many as usual
    is_nobody: bool = False  # run by a user whose processes the kernel counts
    has_movable_clock: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """A server: its command without the options that all have alike."""

    name: str
    command: tuple[str, ...]
    version: Callable[[], str]
    environ: Mapping[str, str] = field(default_factory=dict)

    def command_for(self, start: Start) -> list[str]:
        words = [*self.command, "--bind", "127.0.0.1:0", "--workers", str(start.workers)]
        words += ["--threads", str(start.threads), "--timeout", str(start.timeout), "--pid", "server.pid"]
        words += ["--graceful-timeout", str(GRACEFUL_SECONDS), "--keep-alive", str(KEEP_ALIVE_SECONDS)]
        words += ["--access-logfile", start.access_log, "--error-logfile", start.error_log]
        return [*words, "target:application"]


ROPEWALK = Server(
    name="ropewalk",
    command=(sys.executable, "-m", "ropewalk"),
    version=lambda: program_version(SERVER / "ropewalk"),
    environ={"PYTHONPATH": str(SERVER)},
)
GUNICORN = Server(
    name="gunicorn",
    command=(str(Path(sys.executable).with_name("gunicorn")), "--worker-class", "gthread", "--no-control-socket"),
    version=lambda: importlib.metadata.version("gunicorn"),
)
SERVERS = {server.name: server for server in (ROPEWALK, GUNICORN)}


class StartError(Exception):
    """The server did not start; the message is the last thing that it said."""


class Output:
    """A pipe for what a server says, read by a thread so that it never fills, until it is closed."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self.said = b""  # the last of it; the thread alone writes it
        self._is_closed = False
        self._thread = threading.Thread(target=self._read, name="output")
        self._thread.start()

    def close(self) -> None:
        """From now on there is no reader."""
        if not self._is_closed:
            self._is_closed = True
            self._thread.join()
            os.close(self._reader)

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        while not self._is_closed:
            if not poll.poll(20):
                continue
            octets = os.read(self._reader, 65536)
            if not octets:
                return
            self.said = (self.said + octets)[-262144:]


class Running:
    """A server that answers, in a folder of its own. After an upgrade `master` is another process."""

    def __init__(self, server: Server, start: Start, folder: Path) -> None:
        self.server = server
        self.start = start
        self.folder = folder
        self.master = 0
        self.port = 0
        self.status: int | None = None  # with which it ended, if that was asked of it

    def __enter__(self) -> Running:
        (self.folder / "target.py").write_text((APPLICATIONS / "target.py").read_text())
        self.move_clock(0.0)
        if self.start.is_nobody and os.geteuid() == 0:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        self._output = Output()
        try:
            self._process = subprocess.Popen(
                [*self._prefix(), *self.server.command_for(self.start)],
                cwd=self.folder,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=self._output.writer,
                stderr=self._output.writer,
                start_new_session=True,
            )
        except BaseException:
            self._output.close()
            raise
        finally:
            os.close(self._output.writer)
        self.master = self._process.pid
        try:
            if not wait_for(self._is_up, START_SECONDS) or self._process.poll() is not None:
                raise StartError(self._last_words())
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def workers(self) -> list[int]:
        """Children of the master, but for a new master that is one while an upgrade lasts."""
        return [pid for pid in children(self.master) if pid not in self.new_masters()]

    def signal(self, number: int) -> None:
        """Signal the master; nothing when it is gone, which the outcomes tell."""
        with suppress(ProcessLookupError):
            os.kill(self.master, number)

    @staticmethod
    def signal_to(pid: int, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def signal_all(self, number: int) -> None:
        """Signal the master and its workers at once."""
        os.killpg(self._process.pid, number)

    def new_masters(self) -> set[int]:
        """While an upgrade lasts: processes of the session that have children, but for the master."""
        members = of_session(self._process.pid)
        return {pid for pid in members if pid != self.master and children(pid)}

    def new_masters_workers(self) -> list[int]:
        """While an upgrade lasts."""
        return [worker for master in self.new_masters() for worker in children(master)]

    def follow_upgrade(self) -> None:
        """From now on the new master is the server."""
        (self.master,) = self.new_masters()

    def is_running(self) -> bool:
        self._process.poll()
        return is_alive(self.master)

    def journal(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        with suppress(FileNotFoundError):
            for line in (self.folder / "journal").read_text().splitlines():
                token, pid = line.split()
                found.setdefault(token, []).append(int(pid))
        return found

    def answers(self) -> int:
        """Ask once, on a new connection; the worker that answered, or 0."""
        client = Client(self.address, "probe", keeps=False, patience=3)
        try:
            attempt = client.ask(Request())
        finally:
            client.close()
        return attempt.pid if attempt.end is End.WHOLE and attempt.is_right else 0

    def client_at(self, worker: int, name: str) -> Client | None:
        """A client whose kept connection that worker holds; None when none could be had."""
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            client = Client(self.address, name, keeps=True)
            if client.ask(Request()).pid == worker:
                return client
            client.close()
        return None

    def move_clock(self, seconds: float) -> None:
        """By so much the server's wall clock is off from now on."""
        descriptor = os.open(self.folder / "clock", os.O_WRONLY | os.O_CREAT, 0o644)  # in place: it is mapped
        try:
            os.write(descriptor, struct.pack("d", seconds))
        finally:
            os.close(descriptor)

    def close_output(self) -> None:
        """Be no reader of its standard output and error any more."""
        self._output.close()

    def wait_end(self, seconds: float) -> bool:
        """Whether the server ends by itself within that time."""
        if not wait_for(lambda: not self.is_running(), seconds):
            return False
        if self.master == self._process.pid:
            self.status = self._process.wait()
        return True

    def end(self) -> None:
        """TERM, then KILL for the whole session."""
        for pid in of_session(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        for number, seconds in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0)):
            with suppress(ProcessLookupError):
                os.kill(self.master, number)
            if number == signal.SIGKILL:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)
            self._process.poll()
            if wait_for(lambda: self._process.poll() is not None and not of_session(self._process.pid), seconds):
                break
        for pid in of_session(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._output.close()

    def log(self) -> str:
        """What it wrote, in its error log or to its standard error."""
        path = self.folder / self.start.error_log
        written = path.read_text(errors="replace") if path.is_file() else ""
        return written + self._output.said.decode(errors="replace")

    def _is_up(self) -> bool:
        """As many workers answer as were asked for (or the server is gone)."""
        if self._process.poll() is not None:
            return True
        if not self.port:
            self.port = listening_port(self.master)
        if not self.port or len(self.workers()) < self.start.workers:
            return False
        return len({self.answers() for _ in range(4 * self.start.workers)} - {0}) >= min(2, self.start.workers)

    def _last_words(self) -> str:
        lines = [line for line in self.log().splitlines() if line.strip()]
        return lines[-1][:300] if lines else "no answer, no output"

    def _prefix(self) -> list[str]:
        limits = ["prlimit", f"--nofile={self.start.descriptors}:{self.start.descriptors}"]
        return [
            *(AS_NOBODY if self.start.is_nobody and os.geteuid() == 0 else []),
            *(limits if self.start.descriptors else []),
        ]

    def _environ(self) -> dict[str, str]:
        environ = os.environ | dict(self.server.environ)
        environ |= {"FAULTS_JOURNAL": str(self.folder / "journal"), "PYTHONDONTWRITEBYTECODE": "1"}
        if self.start.has_movable_clock:
            environ["FAULTS_CLOCK"] = str(self.folder / "clock")
            environ["PYTHONPATH"] = os.pathsep.join(
                [str(APPLICATIONS / "clock"), *filter(None, [environ.get("PYTHONPATH", "")])]
            )
        return environ


@contextmanager
def running(server: Server, start: Start) -> Iterator[Running]:
    """Start the server, and end it with all its children. Raises StartError."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        with Running(server, start, folder) as run:
            yield run
    finally:
        shutil.rmtree(folder)
