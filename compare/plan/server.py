"""The real server with `plan.application`, loaded and observed: what `plan.calibrate` and `plan.check` share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bench.paths import COMPARE
from bench.server_process import (
    CPUS,
    LOAD_CPUS,
    START_TIMEOUT,
    ServerProcess,
    StartError,
    connect,
    free_address,
    pinned,
    running,
)
from bench.servers import Server, Start
from plan.workload import Request

CONNECTIONS = 64  # more than there are requests at a time, up to rare peaks
LOAD_TIMEOUT = 120.0  # seconds
NANOSECOND = 1e-9


def _command(start: Start) -> list[str]:
    command = [sys.executable, "-m", "ropewalk", "plan.application:application", "--bind", start.bind]
    return [*command, "--threads", str(start.threads), "--workers", str(start.workers), "--log-level", "warning"]


SERVER = Server("ropewalk", "ropewalk", _command)


class LoadError(Exception):
    """A request failed: the figures would be of another load."""


class Measured(NamedTuple):
    times: list[float]  # seconds
    seconds: float  # from the start to the last response
    connections: list[int]  # the worker of each connection, in the order in which they were first used
    cpu_seconds: float  # that the server used
    held_up: float  # seconds in which its threads waited for a processor


@contextmanager
def serving(workers: int, threads: int) -> Iterator[ServerProcess]:
    """It has all processors, as on a machine of its own; the load takes little of them. Raises `StartError`."""
    start = Start("", free_address(), threads=threads, workers=workers)
    with running(SERVER, start, {}, "/0/0", set(CPUS)) as process:
        _wait_for_workers(process.bind, workers)
        for pid in process.processes():
            _prefer(pid)
        yield process


def _wait_for_workers(bind: str, count: int) -> None:
    """Wait until each worker has responded: the first one to be ready would otherwise get all connections."""
    seen: set[bytes] = set()
    deadline = time.monotonic() + START_TIMEOUT
    while len(seen) < count:
        if time.monotonic() > deadline:
            raise StartError(f"{len(seen)} of {count} workers responded")
        with connect(bind) as sock:
            sock.sendall(b"GET /0/0 HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            seen.add(sock.recv(65536).rpartition(b"\r\n\r\n")[2])


def _prefer(pid: int) -> None:
    """Let all threads of a process run before those of others, where the user's rights allow it.

    Others would otherwise take the processor away for as long as a request computes.
    """
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setscheduler(int(task), os.SCHED_RR, os.sched_param(1))


def scheduled_seconds(process: ServerProcess) -> tuple[float, float]:
    """For how long all threads of the server have run, and waited for a processor, so far (proc(5), schedstat)."""
    ran = waited = 0
    for pid in process.processes():
        for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                words = stat.read_text().split()
                ran, waited = ran + int(words[0]), waited + int(words[1])
    return ran * NANOSECOND, waited * NANOSECOND


def load(process: ServerProcess, requests: Sequence[Request]) -> Measured:
    """Send these requests. Raises `LoadError` if any fails."""
    ran, waited = scheduled_seconds(process)
    program = pinned(
        [sys.executable, "-m", "plan.load", process.bind, str(CONNECTIONS)],
        LOAD_CPUS,
        cwd=COMPARE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    _prefer(program.pid)
    try:
        output, _ = program.communicate(json.dumps(requests).encode(), timeout=LOAD_TIMEOUT + requests[-1].due)
    finally:
        program.kill()
        program.wait()
    found = json.loads(output or b'{"failures": "all"}')
    if found["failures"]:
        raise LoadError(f"{found['failures']} of {len(requests)} requests failed")
    ran_now, waited_now = scheduled_seconds(process)
    return Measured(found["times"], found["seconds"], found["connections"], ran_now - ran, waited_now - waited)
