"""System calls of a request: `python -m bench.syscalls [SERVER ...]`.

They are counted by the kernel (`perf stat`, event raw_syscalls:sys_enter), which stops nothing: a tracer as strace
makes every call slow, and a server that adapts to what it sees would be counted in a world of its own. Where perf is
not allowed, strace counts, and the output says so. Which calls they are, perf tells by name in a second look.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import wrk
from bench.backends import BACKENDS, Start, missing, tool
from bench.measure import terms
from bench.running import Running, StartError, allow_many_descriptors, free_address, running

SECONDS = 2
COMPARED = ("ropewalk", "gunicorn-gthread", "granian", "bjoern")
EVENT = "raw_syscalls:sys_enter"
SHOWN_FROM = 0.02  # calls a request: rarer ones are not named
NAMES = (
    *("recvfrom", "sendto", "sendmsg", "read", "write", "writev", "recvmsg", "poll", "select", "sched_yield"),
    *("epoll_wait", "epoll_ctl", "epoll_pwait", "futex", "accept4", "close", "clock_nanosleep", "pread64"),
    *("shutdown", "setsockopt", "getsockname", "fcntl", "ioctl", "sendfile64", "pselect6", "fstat", "getpid"),
)


def parse_perf(output: str) -> dict[str, int]:
    """Read `perf stat -x,`: by event, its count."""
    found = {}
    for line in output.splitlines():
        words = line.split(",")
        if len(words) > 2 and words[0].isdigit():
            found[words[2].removeprefix("syscalls:sys_enter_")] = int(words[0])
    return found


def parse_strace(output: str) -> dict[str, int]:
    """Read the table of `strace -c`: by call, its count."""
    rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$", output, re.MULTILINE)
    return {name: int(count) for count, name in rows if name != "total"}


def known_events() -> list[str]:
    """Those of NAMES that this kernel can count."""
    listed = Path("/sys/kernel/tracing/events/syscalls"), Path("/sys/kernel/debug/tracing/events/syscalls")
    folder = next((path for path in listed if path.is_dir()), None)
    names = [name for name in NAMES if folder is None or (folder / f"sys_enter_{name}").is_dir()]
    return [f"syscalls:sys_enter_{name}" for name in names]


def counted(server: Running, words: list[str], events: list[str]) -> tuple[dict[str, int], wrk.Load]:
    """Count events of the server's processes while the load runs. Raises `StartError` where perf may not."""
    pids = ",".join(map(str, server.processes()))
    with tempfile.NamedTemporaryFile("r") as file:
        command = [tool("perf") or "perf", "stat", "-x,", "-o", file.name, "-e", ",".join(events), "-p", pids]
        try:
            perf = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        except OSError as error:
            raise StartError(str(error)) from None
        load = wrk.load(words, SECONDS)
        perf.send_signal(2)
        _, said = perf.communicate(timeout=20)
        found = parse_perf(file.read())
    if not found:
        raise StartError(said.decode().strip()[:200] or "perf counted nothing")
    return found, load


def traced(server: Running, words: list[str]) -> tuple[dict[str, int], wrk.Load]:
    with tempfile.NamedTemporaryFile("r") as file:
        pids = [word for pid in server.processes() for word in ("-p", str(pid))]
        strace = subprocess.Popen(
            [tool("strace") or "strace", "-c", "-f", "-o", file.name, *pids], stderr=subprocess.DEVNULL
        )
        load = wrk.load(words, SECONDS)
        strace.send_signal(2)
        strace.wait(20)
        return parse_strace(file.read()), load


@dataclass(frozen=True, slots=True)
class Calls:
    """System calls a request: all, by name from the most frequent on, and whether a tracer slowed the server down."""

    each: float
    by_name: list[tuple[str, float]]
    is_traced: bool

    @property
    def named(self) -> str:
        return ", ".join(f"{call} {share:.2f}" for call, share in self.by_name if share >= SHOWN_FROM)


def of_server(name: str, connections: int, environ: dict[str, str]) -> Calls:
    """Count those of a server with hello on so many connections."""
    with running(BACKENDS[name], Start("hello", free_address()), environ, "/hello") as server:
        words = wrk.command(f"{server.url}/hello", SECONDS, connections)
        wrk.load(words, SECONDS)
        try:
            total, load = counted(server, words, [EVENT])
            each, is_traced = total[EVENT] / load.requests, False
            by_name, load = counted(server, words, known_events())
        except (StartError, KeyError):
            by_name, load = traced(server, words)
            each, is_traced = sum(by_name.values()) / load.requests, True
        shares = [(call, count / load.requests) for call, count in by_name.items()]
        return Calls(each, sorted(shares, key=lambda share: -share[1]), is_traced)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.syscalls", description="Counts system calls of a request.")
    parser.add_argument("server", nargs="*", help="by default ropewalk, gunicorn-gthread, granian and bjoern")
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    allow_many_descriptors()
    without = missing()
    with terms(SECONDS) as run:
        for name in options.server or COMPARED:
            if name in without:
                sys.stdout.write(f"{name}: {without[name]}\n")
            else:
                calls = of_server(name, options.connections, run.environ)
                how = " (by strace, which slows the server down)" if calls.is_traced else ""
                sys.stdout.write(f"{name:20} {calls.each:6.2f} a request{how}: {calls.named}\n")
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
