"""A running server: started on a CPU of its own, measured in CPU time and memory, and stopped."""

from __future__ import annotations

import os
import resource
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.paths import COMPARE
from bench.servers import Server, Start

TICKS = os.sysconf("SC_CLK_TCK")
START_TIMEOUT = 20.0  # seconds
STOP_TIMEOUT = 5.0

# One CPU for the server and another for the load, if there are two.
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPUS = set(CPUS[-1:])
LOAD_CPUS = set(CPUS[:1])


class StartError(Exception):
    """The server did not start, or did not respond correctly."""


class WrongResponseError(StartError):
    """The server responded, but not as the scenario requires."""


@dataclass(slots=True)
class ServerProcess:
    """A server that responds. `process` leads a session of its own, which identifies its children."""

    process: subprocess.Popen[bytes]
    bind: str
    start_seconds: float  # until the first response

    @property
    def url(self) -> str:
        return f"http://{self.bind}"

    def processes(self) -> list[int]:
        """The process and its children that are alive."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with suppress(OSError):
                    if _stat(int(entry))[3] == str(self.process.pid):  # the session
                        found.append(int(entry))
        return found

    def cpu_seconds(self) -> float:
        """CPU time used so far by the processes that are alive, in user and system mode."""
        total = 0
        for pid in self.processes():
            with suppress(OSError):
                stat = _stat(pid)
                total += int(stat[11]) + int(stat[12])
        return total / TICKS

    def memory(self) -> int:
        """Bytes of all processes together, as if no other process ran on the machine.

        Private pages (proc(5), `Pss_Anon`), shared ones counted once; and each page of a program or library once,
        however many other processes map it: plain PSS gets smaller whenever another Python process starts.
        """
        total = 0
        mapped: dict[str, int] = {}  # by file and offset: the bytes in the process that has most of it
        for pid in self.processes():
            with suppress(OSError):
                total += _rollup(pid, "Pss_Anon")
                for mapping, size in _file_pages(Path(f"/proc/{pid}/smaps").read_text()):
                    mapped[mapping] = max(mapped.get(mapping, 0), size)
        return total + sum(mapped.values())

    def resident(self) -> int:
        """Bytes of all processes, with shared pages counted once for each process."""
        total = 0
        for pid in self.processes():
            with suppress(OSError):
                total += _rollup(pid, "Rss")
        return total


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (the second, the name, may contain anything)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


def _rollup(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def _file_pages(smaps: str) -> Iterator[tuple[str, int]]:
    """Parse /proc/PID/smaps: for each mapping of a file, its place in the file and the bytes of it in memory."""
    mapping, resident = "", 0
    for line in smaps.splitlines():
        name, _, value = line.partition(": ")
        if name == "Rss":
            resident = int(value.split()[0])
        elif name == "Anonymous":
            if mapping:
                yield mapping, (resident - int(value.split()[0])) * 1024
        elif "-" in name.split(" ")[0]:  # an address range starts a mapping: permissions, offset, device, inode
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


def pinned(
    command: list[str],
    cpus: set[int],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    start_new_session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a command on these CPUs."""

    def set_affinity() -> None:
        os.sched_setaffinity(0, cpus)

    return subprocess.Popen(
        command,
        preexec_fn=set_affinity,
        cwd=cwd,
        env=env,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=start_new_session,
    )


@contextmanager
def running(
    server: Server, start: Start, environ: dict[str, str], path: str, cpus: set[int] = SERVER_CPUS
) -> Iterator[ServerProcess]:
    """Start the server, wait until it responds to `path`, and stop it with all its children. Raises `StartError`."""
    variables = os.environ | environ | {"PYTHONPATH": f"{server.source}:{COMPARE}", "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = pinned(
            server.command(start),
            cpus,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            if not _wait_response(process, start, path, began + START_TIMEOUT):
                output.seek(0)
                last = output.read().decode("utf-8", "replace").strip().splitlines()[-1:]
                raise StartError(last[0][:300] if last else "no response and no output")
            yield ServerProcess(process, start.bind, time.monotonic() - began)
        finally:
            _stop(process)
            if start.unix_path:
                Path(start.unix_path).unlink(missing_ok=True)


def _wait_response(process: subprocess.Popen[bytes], start: Start, path: str, deadline: float) -> bool:
    context = ssl.create_default_context(cafile=start.tls_files[0]) if start.is_tls else None
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), ExitStack() as stack:
            sock = stack.enter_context(connect(start.bind))
            if context:
                sock = stack.enter_context(context.wrap_socket(sock, server_hostname=start.bind.rpartition(":")[0]))
            sock.sendall(request)
            if sock.recv(65536):
                return True
        time.sleep(0.001)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM, then SIGKILL, to the whole session."""
    for number, timeout in ((signal.SIGTERM, STOP_TIMEOUT), (signal.SIGKILL, STOP_TIMEOUT)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout)
            if number == signal.SIGKILL:
                return
