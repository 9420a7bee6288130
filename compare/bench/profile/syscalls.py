"""System calls per request: `python -m bench.profile.syscalls [SERVER ...]`.

The kernel counts them (`perf stat`, event raw_syscalls:sys_enter) without stopping the server: a tracer such as strace
makes every call slow, and a server that adapts to what it observes would behave differently. If perf is not permitted,
strace counts, and the output says so. A second run of perf counts the calls by name.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.console import positive_integer, usage_error
from bench.loads import wrk
from bench.measure import prepared
from bench.server_process import ServerProcess, StartError, allow_many_descriptors, free_address, running
from bench.servers import SERVERS, Start, find_program, missing_servers

SECONDS = 2
COMPARED = ("ropewalk", "gunicorn-gthread", "granian", "bjoern")
EVENT = "raw_syscalls:sys_enter"
MIN_SHOWN = 0.02  # calls per request: rarer ones are left out
NAMES = (
    *("recvfrom", "sendto", "sendmsg", "read", "write", "writev", "recvmsg", "poll", "select", "sched_yield"),
    *("epoll_wait", "epoll_ctl", "epoll_pwait", "futex", "accept4", "close", "clock_nanosleep", "pread64"),
    *("shutdown", "setsockopt", "getsockname", "fcntl", "ioctl", "sendfile64", "pselect6", "fstat", "getpid"),
)


@dataclass(frozen=True, slots=True)
class Calls:
    """System calls per request: all, by name with the most frequent first, and whether a tracer counted them."""

    per_request: float
    by_name: list[tuple[str, float]]
    is_traced: bool

    @property
    def summary(self) -> str:
        return ", ".join(f"{call} {share:.2f}" for call, share in self.by_name if share >= MIN_SHOWN)


def parse_perf(output: str) -> dict[str, int]:
    """Parse `perf stat -x,`: by event, its count."""
    found = {}
    for line in output.splitlines():
        words = line.split(",")
        if len(words) > 2 and words[0].isdigit():
            found[words[2].removeprefix("syscalls:sys_enter_")] = int(words[0])
    return found


def parse_strace(output: str) -> dict[str, int]:
    """Parse the table of `strace -c`: by call, its count."""
    rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$", output, re.MULTILINE)
    return {name: int(count) for count, name in rows if name != "total"}


def known_events() -> list[str]:
    """The events of the calls in NAMES that this kernel can count."""
    folders = Path("/sys/kernel/tracing/events/syscalls"), Path("/sys/kernel/debug/tracing/events/syscalls")
    folder = next((path for path in folders if path.is_dir()), None)
    names = [name for name in NAMES if folder is None or (folder / f"sys_enter_{name}").is_dir()]
    return [f"syscalls:sys_enter_{name}" for name in names]


def count_with_perf(server: ServerProcess, words: list[str], events: list[str]) -> tuple[dict[str, int], wrk.Load]:
    """Count events of the server's processes during the load. Raises `StartError` if perf is not permitted."""
    pids = ",".join(map(str, server.processes()))
    with tempfile.NamedTemporaryFile("r") as file:
        command = [find_program("perf") or "perf", "stat", "-x,", "-o", file.name, "-e", ",".join(events), "-p", pids]
        try:
            perf = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        except OSError as error:
            raise StartError(str(error)) from None
        load = wrk.load(words, SECONDS)
        perf.send_signal(signal.SIGINT)
        _, errors = perf.communicate(timeout=20)
        found = parse_perf(file.read())
    if not found:
        raise StartError(errors.decode().strip()[:200] or "perf counted nothing")
    return found, load


def count_with_strace(server: ServerProcess, words: list[str]) -> tuple[dict[str, int], wrk.Load]:
    with tempfile.NamedTemporaryFile("r") as file:
        pids = [word for pid in server.processes() for word in ("-p", str(pid))]
        command = [find_program("strace") or "strace", "-c", "-f", "-o", file.name, *pids]
        strace = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        load = wrk.load(words, SECONDS)
        strace.send_signal(signal.SIGINT)
        strace.wait(20)
        return parse_strace(file.read()), load


def count(name: str, connections: int, environ: dict[str, str]) -> Calls:
    """Count the calls of a server that serves hello on that many connections."""
    with running(SERVERS[name], Start("hello", free_address()), environ, "/hello") as server:
        words = wrk.command(f"{server.url}/hello", SECONDS, connections)
        wrk.load(words, SECONDS)
        try:
            total, load = count_with_perf(server, words, [EVENT])
            per_request, is_traced = total[EVENT] / load.requests, False
            by_name, load = count_with_perf(server, words, known_events())
        except (StartError, KeyError):
            by_name, load = count_with_strace(server, words)
            per_request, is_traced = sum(by_name.values()) / load.requests, True
        shares = [(call, number / load.requests) for call, number in by_name.items()]
        return Calls(per_request, sorted(shares, key=lambda share: -share[1]), is_traced)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.profile.syscalls", description="Count the system calls per request.")
    parser.add_argument("server", nargs="*", help=f"by default {', '.join(COMPARED)}")
    parser.add_argument("--connections", type=positive_integer, default=32)
    options = parser.parse_args()
    for name in options.server:
        if name not in SERVERS:
            usage_error(f"{name}: unknown server; choose from {', '.join(SERVERS)}", "bench.profile.syscalls")
    allow_many_descriptors()
    missing = missing_servers()
    with prepared(SECONDS) as settings:
        for name in options.server or COMPARED:
            if name in missing:
                sys.stdout.write(f"{name}: {missing[name]}\n")
                continue
            calls = count(name, options.connections, settings.environ)
            tracer = " (by strace, which slows the server down)" if calls.is_traced else ""
            sys.stdout.write(f"{name:20} {calls.per_request:6.2f} per request{tracer}: {calls.summary}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
