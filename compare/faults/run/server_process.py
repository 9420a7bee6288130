"""A running server: its processes, its journal and its logs."""

from __future__ import annotations

import os
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faults.run.client import Client, Request
from faults.run.limits import AS_NOBODY, NOBODY
from faults.run.outcomes import End
from faults.run.processes import children, is_alive, listening_port, of_session, wait_for
from faults.run.servers import Server, Start

APPLICATIONS = Path(__file__).parents[1] / "applications"
START_SECONDS = 60.0  # on a busy machine; one that exits is not waited for
STOP_SECONDS = 3.0
KILL_SECONDS = 5.0
MAX_OUTPUT = 262_144  # bytes of output to keep


class StartError(Exception):
    """The server did not start; the text is the last line of its output."""


class Output:
    """A pipe for the output of a server. A thread reads it, so that it never fills, until it is closed."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self.content = b""  # the end of it; only the thread writes it
        self._is_closed = False
        self._thread = threading.Thread(target=self._read, name="output")
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
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
            data = os.read(self._reader, 65536)
            if not data:
                return
            self.content = (self.content + data)[-MAX_OUTPUT:]


class ServerProcess:
    """A running server in a folder of its own. After an upgrade, `master` is another process than the first."""

    def __init__(self, server: Server, start: Start, folder: Path) -> None:
        self.server = server
        self.start = start
        self.folder = folder
        self.master = 0
        self.port = 0
        self.status: int | None = None  # the exit status, after `wait_exit`

    def __enter__(self) -> ServerProcess:
        (self.folder / "target.py").write_text((APPLICATIONS / "target.py").read_text())
        self.move_clock(0.0)
        if self._is_other_user():
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        self._output = Output()
        try:
            self._process = self._launch()
        except BaseException:
            self._output.close()
            raise
        finally:
            os.close(self._output.writer)
        self.master = self._process.pid
        try:
            if not wait_for(self._is_up, START_SECONDS) or self._process.poll() is not None:
                raise StartError(self._last_line())
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._prefix(), *self.server.command_for(self.start)],
            cwd=self.folder,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=self._output.writer,
            stderr=self._output.writer,
            start_new_session=True,
        )

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def workers(self) -> list[int]:
        """The children of the master, without the new master during an upgrade."""
        new_masters = self.new_masters()
        return [pid for pid in children(self.master) if pid not in new_masters]

    def signal(self, number: int) -> None:
        """Signal the master. If it is gone, the outcomes show it."""
        self.signal_to(self.master, number)

    @staticmethod
    def signal_to(pid: int, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def signal_all(self, number: int) -> None:
        """Signal the master and its workers at once."""
        os.killpg(self._process.pid, number)

    def new_masters(self) -> set[int]:
        """During an upgrade, the processes of the session other than the master that have children."""
        members = of_session(self._process.pid)
        return {pid for pid in members if pid != self.master and children(pid)}

    def new_masters_workers(self) -> list[int]:
        return [worker for master in self.new_masters() for worker in children(master)]

    def follow_upgrade(self) -> None:
        """Regard the new master as the server from now on."""
        (self.master,) = self.new_masters()

    def is_running(self) -> bool:
        self._process.poll()
        return is_alive(self.master)

    def journal(self) -> dict[str, list[int]]:
        """By token, the processes that ran the request."""
        found: dict[str, list[int]] = {}
        with suppress(FileNotFoundError):
            for line in (self.folder / "journal").read_text().splitlines():
                token, pid = line.split()
                found.setdefault(token, []).append(int(pid))
        return found

    def responding_worker(self) -> int:
        """The worker that responds to a request on a new connection, or 0."""
        client = Client(self.address, "health", keeps_alive=False, timeout=3)
        try:
            attempt = client.request(Request())
        finally:
            client.close()
        return attempt.pid if attempt.end is End.COMPLETE and attempt.is_right else 0

    def client_of(self, worker: int, name: str, *, receive_buffer: int = 0) -> Client | None:
        """A client with a keep-alive connection that this worker holds, or None if none can be had."""
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            client = Client(self.address, name, keeps_alive=True, receive_buffer=receive_buffer)
            if client.request(Request()).pid == worker:
                return client
            client.close()
        return None

    def move_clock(self, seconds: float) -> None:
        """Set the offset of the server's wall clock."""
        descriptor = os.open(self.folder / "clock", os.O_WRONLY | os.O_CREAT, 0o644)  # in place: it is mapped
        try:
            os.write(descriptor, struct.pack("d", seconds))
        finally:
            os.close(descriptor)

    def close_output(self) -> None:
        """Stop reading its standard output and error."""
        self._output.close()

    def wait_exit(self, seconds: float) -> bool:
        """Whether the server exits by itself within that time."""
        if not wait_for(lambda: not self.is_running(), seconds):
            return False
        if self.master == self._process.pid:
            self.status = self._process.wait()
        return True

    def stop(self) -> None:
        """Send SIGTERM to the master, then SIGKILL to the whole session."""
        session = self._process.pid
        for pid in of_session(session):
            self.signal_to(pid, signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if not wait_for(self._is_gone, STOP_SECONDS):
            self.signal(signal.SIGKILL)
            with suppress(ProcessLookupError):
                os.killpg(session, signal.SIGKILL)
            wait_for(self._is_gone, KILL_SECONDS)
        for pid in of_session(session):
            self.signal_to(pid, signal.SIGKILL)
        self._process.wait()
        self._output.close()

    def _is_gone(self) -> bool:
        return self._process.poll() is not None and not of_session(self._process.pid)

    def log(self) -> str:
        """Its error log, and the end of its output."""
        path = self.folder / self.start.error_log
        written = path.read_text(errors="replace") if path.is_file() else ""
        return written + self._output.content.decode(errors="replace")

    def _is_up(self) -> bool:
        """Whether all workers are there and at least two of them respond, or the server has exited."""
        if self._process.poll() is not None:
            return True
        if not self.port:
            self.port = listening_port(self.master)
        if not self.port or len(self.workers()) < self.start.workers:
            return False
        responding = {self.responding_worker() for _ in range(4 * self.start.workers)} - {0}
        return len(responding) >= min(2, self.start.workers)

    def _last_line(self) -> str:
        lines = [line for line in self.log().splitlines() if line.strip()]
        return lines[-1][:300] if lines else "no response and no output"

    def _is_other_user(self) -> bool:
        return self.start.is_nobody and os.geteuid() == 0

    def _prefix(self) -> list[str]:
        limits = ["prlimit", f"--nofile={self.start.descriptors}:{self.start.descriptors}"]
        return [*(AS_NOBODY if self._is_other_user() else []), *(limits if self.start.descriptors else [])]

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
def running(server: Server, start: Start) -> Iterator[ServerProcess]:
    """Start the server, and stop it with all its children. Raises `StartError`."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        with ServerProcess(server, start, folder) as process:
            yield process
    finally:
        shutil.rmtree(folder)
