"""The CPU time of a request in builds of the server: `python -m bench.profile.builds pure=../server NAME=FOLDER ...`.

Each build lies in a folder of its own, as the package `ropewalk` (`make bench-builds` compares both). Measured
is the server's code with the application, without the kernel: one connection with a fake socket goes through receive,
run and send. Prints a row for each kind of request: the median and the range of several processes for each build, which
take turns, so that a busy machine slows all of them down alike.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.applications import chunks, echo
from bench.console import positive_integer, progress, usage_error
from bench.profile.hops import PLAIN, Hops, connect
from bench.report.markdown import table

BATCHES = 9  # in a process; the least counts
BATCH_SECONDS = 0.05  # about

Row = Callable[[], Hops]


def _heads() -> Hops:
    """What nginx passes on from browsers: 14 fields, of which 4 differ."""
    return connect(*(HEAD.format(number=number, client=number % 250).encode() for number in range(499)))


def _django() -> Hops:
    from bench.applications.django_json import application  # configures Django

    return connect(b"GET /greeting HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n", application=application)


HEAD = (
    "GET /hello?page={number} HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"
    "X-Real-IP: 192.0.2.{client}\r\nX-Forwarded-For: 192.0.2.{client}\r\nX-Forwarded-Proto: https\r\n"
    "X-Request-ID: 0123456789abcdef01234567{number:08x}\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Cookie: sessionid=0123456789abcdef0123456789ab{number:04x}; csrftoken=0123456789abcdef0123456789abcdef\r\n"
    "Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n\r\n"
)
UPLOAD = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nContent-Length: 10240\r\n\r\n" + bytes(10240)

ROWS: dict[str, Row] = {
    "hello": lambda: connect(PLAIN),
    "heads that vary": _heads,
    "POST 10 KiB": lambda: connect(UPLOAD, application=echo.application),
    "64 chunks": lambda: connect(PLAIN, application=chunks.application),
    "Django JSON": _django,
}


def cost(hops: Hops) -> float:
    """Microseconds of this thread's CPU time per request."""
    clock, every = time.thread_time_ns, hops.all
    began = clock()
    for _ in range(100):
        every()
    count = max(1, int(BATCH_SECONDS * 1e9 * 100 / (clock() - began)))
    least = float("inf")
    for _ in range(BATCHES):
        began = clock()
        for _ in range(count):
            every()
        least = min(least, (clock() - began) / count / 1000)
    return least


def measured(folder: Path, rows: list[str]) -> dict[str, float]:
    """The costs of these rows in a new process that imports the server from `folder`."""
    environ = {**os.environ, "PYTHONPATH": f"{folder.resolve()}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "bench.profile.builds", "--print-costs", *rows]
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(builds: dict[str, Path], rows: list[str], processes: int) -> str:
    """A table: what a request costs in each build, and that as a share of the first one."""
    costs: dict[str, dict[str, list[float]]] = {row: {name: [] for name in builds} for row in rows}
    for number in range(processes):
        for name, folder in list(builds.items())[:: -1 if number % 2 else 1]:
            progress(f"process {number + 1} of {processes}: {name}   \r")
            for row, microseconds in measured(folder, rows).items():
                costs[row][name].append(microseconds)
    progress("\n")
    lines = []
    for row, by_build in costs.items():
        first = median(next(iter(by_build.values())))
        cells = [f"{median(each):.2f} ({min(each):.2f} to {max(each):.2f})" for each in by_build.values()]
        shares = [f"{median(each) / first:.2f}" for each in list(by_build.values())[1:]]
        lines.append((row, *cells, *shares))
    names = list(builds)
    return table(("us a request", *names, *(f"{name} / {names[0]}" for name in names[1:])), lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.profile.builds", description="Compare builds of the server.")
    parser.add_argument("builds", nargs="*", metavar="NAME=FOLDER", help="where the package ropewalk of a build is")
    parser.add_argument("--row", action="append", choices=ROWS, help="only this kind of request (repeatable)")
    parser.add_argument("--processes", type=positive_integer, default=7, help="for each build (default: 7)")
    parser.add_argument("--print-costs", nargs="+", choices=ROWS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.print_costs:
        sys.stdout.write(json.dumps({row: cost(ROWS[row]()) for row in options.print_costs}))
        return 0
    builds = {name: Path(folder) for name, _, folder in (each.partition("=") for each in options.builds)}
    for name, folder in builds.items():
        if not (folder / "ropewalk").is_dir():
            usage_error(f"{name}={folder}: no folder ropewalk is there", "bench.profile.builds")
    if not builds:
        usage_error("give at least one NAME=FOLDER", "bench.profile.builds")
    sys.stdout.write(compare(builds, options.row or list(ROWS), options.processes) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
