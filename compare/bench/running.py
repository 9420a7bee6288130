"""A server while it runs: started on a processor of its own, its processor time and memory, and its end."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.backends import APPLICATIONS, Backend, Start

TICKS = os.sysconf("SC_CLK_TCK")
START_TIMEOUT = 20.0  # seconds
STOP_TIMEOUT = 5.0

# One processor for the server and another for the load, where there are two.
PROCESSORS = sorted(os.sched_getaffinity(0))
SERVER_PROCESSORS = set(PROCESSORS[-1:])
LOAD_PROCESSORS = set(PROCESSORS[:1])


class StartError(Exception):
    """The server did not start, or did not answer."""


@dataclass(slots=True)
class Running:
    """A server that answers. `process` leads a session of its own, by which its children are found."""

    process: subprocess.Popen[bytes]
    bind: str
    seconds_to_answer: float

    @property
    def url(self) -> str:
        return f"http://{self.bind}"

    def processes(self) -> list[int]:
        """The process and its children that live now."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with suppress(OSError):
                    if _stat(int(entry))[3] == str(self.process.pid):  # the session
                        found.append(int(entry))
        return found

    def cpu_seconds(self) -> float:
        """Processor time so far of the processes that live, in user and system mode."""
        total = 0
        for pid in self.processes():
            with suppress(OSError):
                stat = _stat(pid)
                total += int(stat[11]) + int(stat[12])
        return total / TICKS

    def memory(self) -> int:
        """Octets of all processes together, as if nobody else ran.

        Private pages (proc(5), `Pss_Anon`), those that they share counted once; and each page of a program or library
        once, however many other processes map it: in plain PSS a server gets lighter when any other Python runs.
        """
        total = 0
        mapped: dict[str, int] = {}  # by file and offset: what the process with the most of it has
        for pid in self.processes():
            with suppress(OSError):
                total += _rollup(pid, "Pss_Anon")
                for mapping, octets in _file_pages(Path(f"/proc/{pid}/smaps").read_text()):
                    mapped[mapping] = max(mapped.get(mapping, 0), octets)
        return total + sum(mapped.values())

    def resident(self) -> int:
        """Octets of all processes, with what they share counted for each."""
        total = 0
        for pid in self.processes():
            with suppress(OSError):
                total += _rollup(pid, "Rss")
        return total


def _stat(pid: int) -> list[str]:
    """The fields of proc(5)'s stat from the third on (the name, which stands second, may hold anything)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


def _rollup(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def _file_pages(smaps: str) -> Iterator[tuple[str, int]]:
    """Read proc(5)'s smaps: for each mapping of a file, which part of which file, and the octets of it in memory."""
    mapping, resident = "", 0
    for line in smaps.splitlines():
        name, _, value = line.partition(": ")
        if name == "Rss":
            resident = int(value.split()[0])
        elif name == "Anonymous":
            if mapping:
                yield mapping, (resident - int(value.split()[0])) * 1024
        elif "-" in name.split(" ")[0]:  # a range of addresses begins a mapping: permissions, offset, device, inode
            _, _, offset, device, inode, *_ = line.split()
            mapping = f"{device} {inode} {offset}" if inode != "0" else ""


def free_address() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


def connect(bind: str, timeout: float = 10.0) -> socket.socket:
    """Connect to `HOST:PORT` or `unix:PATH`."""
    if bind.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        try:
            sock.connect(bind.removeprefix("unix:"))
        except OSError:
            sock.close()
            raise
        return sock
    host, _, port = bind.rpartition(":")
    return socket.create_connection((host, int(port)), timeout)


def allow_many_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pinned(command: list[str], processors: set[int], **options: object) -> subprocess.Popen[bytes]:
    """Start a command on these processors."""

    def prepare() -> None:
        os.sched_setaffinity(0, processors)

    return subprocess.Popen(command, preexec_fn=prepare, **options)  # type: ignore[call-overload,no-any-return]


@contextmanager
def running(
    backend: Backend, start: Start, environ: dict[str, str], path: str, processors: set[int] = SERVER_PROCESSORS
) -> Iterator[Running]:
    """Start the server, wait until it answers `path`, and end it with all its children. Raises `StartError`."""
    variables = os.environ | environ | {"PYTHONPATH": f"{backend.server}:{APPLICATIONS}", "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = pinned(
            backend.command(start),
            processors,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            if not _wait_answer(process, start.bind, path, began + START_TIMEOUT):
                output.seek(0)
                last = output.read().decode("utf-8", "replace").strip().splitlines()[-1:] or ["no answer, no output"]
                raise StartError(last[0][:300])
            yield Running(process, start.bind, time.monotonic() - began)
        finally:
            _end(process)
            if start.unix_path:
                Path(start.unix_path).unlink(missing_ok=True)


def _wait_answer(process: subprocess.Popen[bytes], bind: str, path: str, deadline: float) -> bool:
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), connect(bind) as sock:
            sock.sendall(request)
            if sock.recv(65536):
                return True
        time.sleep(0.001)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """TERM, then KILL for the whole session."""
    for number, timeout in ((signal.SIGTERM, STOP_TIMEOUT), (signal.SIGKILL, STOP_TIMEOUT)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout)
            if number == signal.SIGKILL:
                return
