"""`python -m bench.page`: measure what a request costs and write docs/benchmarks/profile.md. `make profile` runs it."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from bench import hops, profile, syscalls
from bench.__main__ import DOCS
from bench.backends import missing, tool
from bench.machine import machine, versions
from bench.measure import terms
from bench.report import table
from bench.rounds import say
from bench.running import StartError, allow_many_descriptors
from bench.scenarios import SCENARIOS

MOST_CALLS = 4  # system calls a request, at 32 keep-alive connections
CONNECTIONS = 32
PROFILED = ("hello", "django")
SHOWN = 20  # functions


def calls_section() -> list[str]:
    rows, own, is_traced = [], 0.0, False
    without = missing()
    with terms(syscalls.SECONDS) as run:
        for name in syscalls.COMPARED:
            if name in without:
                rows.append((name, "-", without[name]))
                continue
            say(f"system calls of {name}\n")
            try:
                calls = syscalls.of_server(name, CONNECTIONS, run.environ)
            except (StartError, OSError) as error:
                rows.append((name, "-", str(error)))
                continue
            is_traced = is_traced or calls.is_traced
            own = calls.each if name == "ropewalk" else own
            rows.append((name, f"{calls.each:.2f}", calls.named))
    mark = "not measured" if not own else "✓ reached" if own <= MOST_CALLS else "✗ not reached"
    how = "The kernel counted them"
    if is_traced:
        how = "strace counted them, which slows a server down and changes what it does"
    return [
        "## System calls",
        f"Of a request of hello on {CONNECTIONS} keep-alive connections. To reach: at most {MOST_CALLS}: **{mark}**.",
        table(("server", "a request", "which"), rows),
        f"{how} (`python -m bench.syscalls`). Several requests share one `epoll_wait`, hence the fractions.",
    ]


def hops_section() -> list[str]:
    rows, memory = [], []
    for name, request in (("Host alone", hops.PLAIN), ("a browser's, of ten fields", hops.BROWSER)):
        say(f"hops of a request, {name}\n")
        three = hops.hops(request)
        rows.append((name, *(f"{microseconds:.2f}" for microseconds in hops.costs(*three).values())))
        height, left = hops.memory(*three)
        memory.append(
            (name, f"{height:,}".replace(",", " "), f"{left:.2f}", f"{hops.left_to_the_collector(*three):.1f}")
        )
    return [
        "## Time of each hop",
        (
            "Microseconds of the server's own code a request, hello, without the kernel: one connection is driven "
            "in one thread, through a socket that is none (`python -m bench.hops`). *Receive* takes the octets and "
            "parses the head; *run* makes the environ, runs the application and encodes its answer; *send* gives it "
            "to the socket and arms the connection again."
        ),
        table(("request", "receive", "run", "send", "all"), rows),
        "## Memory of a request",
        (
            "What one request has allocated at its height (by `tracemalloc`), the blocks that it leaves behind, and "
            "the objects of those that only the cycle collector would free."
        ),
        table(("request", "octets at its height", "blocks left", "objects left to the collector"), memory),
    ]


def functions_section() -> list[str]:
    parts = [
        "## Where the time goes",
        (
            "Shares of the time in which Python runs, by function, without what it calls: py-spy samples the worker "
            "under load (`python -m bench.profile`). What the kernel does in a system call counts for its caller."
        ),
    ]
    for scenario in (one for one in SCENARIOS if one.name in PROFILED):
        say(f"profile of {scenario.title}\n")
        parts.append(f"### {scenario.title}")
        try:
            found = profile.shares("ropewalk", scenario)
        except (SystemExit, StartError, OSError) as error:
            parts.append(f"Not measured: {error}")
        else:
            parts.append(table(("share", "function"), [(f"{share:.1%}", f"`{name}`") for name, share in found[:SHOWN]]))
    return parts


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.page", description="Measures what a request costs.")
    parser.add_argument("--output", default=str(DOCS / "profile.md"), help="where to write the page; - for the output")
    output = parser.parse_args().output
    if tool("wrk") is None:
        say("bench: wrk is not installed: apt-get install wrk, or start a Docker engine\n")
        return 0
    try:
        text = measured()
    except KeyboardInterrupt:
        say("\nbench: interrupted; nothing is written\n")
        return 130
    if output == "-":
        sys.stdout.write(text)
    else:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).write_text(text)
        say(f"wrote {output}\n")
    return 0


def measured() -> str:
    """The page."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    allow_many_descriptors()
    parts = [
        "# What does a request cost?",
        "Written by `make profile`; change nothing by hand. Beside other servers: [README.md](README.md).",
        table(("", ""), [*machine().items()]),
        *calls_section(),
        *hops_section(),
        *functions_section(),
        "## Versions",
        table(("server", "version"), [(name, told) for name, told in versions().items() if name in syscalls.COMPARED]),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
