"""`python -m bench.profile`: measures the cost of a request and writes docs/benchmarks/profile.md; `make profile`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from bench.console import check_committed, progress
from bench.machine import machine, versions
from bench.measure import prepared
from bench.paths import PAGES
from bench.profile import functions, hops, syscalls
from bench.report.markdown import replace_regions, table
from bench.scenarios import SCENARIOS, Scenario
from bench.server_process import StartError, allow_many_descriptors
from bench.servers import find_program, missing_servers

PAGE = PAGES / "profile.md"
MAX_CALLS = 4  # system calls per request, at 32 keep-alive connections
CONNECTIONS = 32
PROFILED = tuple(one for one in SCENARIOS if one.name in ("hello", "django"))
MAX_FUNCTIONS = 20
MAX_PACKAGES = 6
REQUESTS = {"Host alone": hops.PLAIN, "a browser's, with ten fields": hops.BROWSER}
CALLS_HEADING = ("server", "calls per request", "by name")
HOPS_HEADING = ("request", "receive", "run", "send", "sum")
MEMORY_HEADING = ("request", "peak bytes", "blocks left", "objects left to the garbage collector")
FUNCTIONS_HEADING = ("share", "function")
PACKAGES_HEADING = ("share", "package")


def environment_region() -> str:
    facts = machine()
    found = {server: version for server, version in versions().items() if server in syscalls.COMPARED}
    return table(("", ""), [*facts.items(), *found.items()])


def system_calls_region() -> str:
    rows, own, is_traced = [], 0.0, False
    missing = missing_servers()
    with prepared(syscalls.SECONDS) as settings:
        for name in syscalls.COMPARED:
            if name in missing:
                rows.append((name, "-", missing[name]))
                continue
            progress(f"system calls of {name}\n")
            try:
                calls = syscalls.count(name, CONNECTIONS, settings.environ)
            except (StartError, OSError) as error:
                rows.append((name, "-", str(error)))
                continue
            is_traced = is_traced or calls.is_traced
            own = calls.per_request if name == "ropewalk" else own
            rows.append((name, f"{calls.per_request:.2f}", calls.summary))
    mark = "not measured" if not own else "✓ met" if own <= MAX_CALLS else "✗ missed"
    counter = "The kernel counted them."
    if is_traced:
        counter = "strace counted them, which slows a server down and changes what it does."
    return f"{table(CALLS_HEADING, rows)}\n\nTarget for ropewalk, at most {MAX_CALLS}: **{mark}**. {counter}"


def hops_region() -> str:
    rows = []
    for name, request in REQUESTS.items():
        progress(f"hops of a request, {name}\n")
        costs = hops.costs(hops.connect(request))
        rows.append((name, *(f"{microseconds:.2f}" for microseconds in costs.values())))
    return table(HOPS_HEADING, rows)


def memory_region() -> str:
    rows = []
    for name, request in REQUESTS.items():
        progress(f"memory of a request, {name}\n")
        exchange = hops.connect(request)
        peak, blocks = hops.memory(exchange)
        rows.append((name, f"{peak:,}", f"{blocks:.2f}", f"{hops.garbage(exchange):.1f}"))
    return table(MEMORY_HEADING, rows)


def functions_region() -> str:
    parts = []
    for scenario in PROFILED:
        progress(f"functions of {scenario.title}\n")
        parts += [f"### {scenario.title}", _functions_table(scenario)]
    return "\n\n".join(parts)


def _functions_table(scenario: Scenario) -> str:
    try:
        found = functions.shares("ropewalk", scenario)
    except (functions.ProfileError, StartError, OSError) as error:
        return f"Not measured: {error}"
    packages = functions.by_package(found)[:MAX_PACKAGES]
    return "\n\n".join(
        table(heading, [(f"{share:.1%}", f"`{name}`") for name, share in rows])
        for heading, rows in ((PACKAGES_HEADING, packages), (FUNCTIONS_HEADING, found[:MAX_FUNCTIONS]))
    )


def measured_page() -> str:
    allow_many_descriptors()
    contents = {
        "environment": environment_region(),
        "system-calls": system_calls_region(),
        "hops": hops_region(),
        "memory": memory_region(),
        "functions": functions_region(),
    }
    return replace_regions(PAGE.read_text(), contents)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.profile", description="Measure the cost of a request.")
    parser.add_argument("--output", type=Path, help="write the page there instead; - for standard output")
    output = parser.parse_args().output
    if find_program("wrk") is None:
        progress("bench: wrk is not installed: apt-get install wrk, or start a Docker engine\n")
        return 0
    if output in (None, Path("-")):
        check_committed(machine()["commit"], "bench.profile")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        page = measured_page()
    except KeyboardInterrupt:
        progress("\nbench.profile: interrupted; nothing is written\n")
        return 130
    if output == Path("-"):
        sys.stdout.write(page)
    else:
        (output or PAGE).write_text(page)
        progress(f"wrote {output or PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
