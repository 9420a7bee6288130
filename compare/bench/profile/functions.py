"""The functions in which a server spends its time: `python -m bench.profile.functions [SCENARIO]`.

py-spy samples the server's threads from outside while the load runs. Only threads that hold the GIL count, so each
share is one of the time in which Python runs. Prints the packages, then the functions, by their own time.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.console import progress, usage_error
from bench.loads import wrk
from bench.measure import prepared
from bench.scenarios import SCENARIOS, Scenario
from bench.server_process import ServerProcess, StartError, allow_many_descriptors, free_address, running
from bench.servers import BIN, SERVERS, Start

SECONDS = 5
RATE = 500  # samples per second
SHOWN = 40  # functions
SHOWN_PACKAGES = 8


class ProfileError(Exception):
    """py-spy failed; the text is the last line of its output."""


def own_time(folded: str) -> Counter[str]:
    """Parse folded stacks (`frame;frame;... count`): by function, the samples in which it is the innermost.

    A function is named without its line, which changes with every edit above it.
    """
    found: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        found[re.sub(r":\d+\)$", ")", stack.rpartition(";")[2])] += int(count)
    return found


def by_package(shares: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Sum the shares of functions by the package or module that they are in, largest first."""
    found: dict[str, float] = {}
    for function, share in shares:
        path = function.rpartition("(")[2].rstrip(")")
        package = path.partition("/")[0].removesuffix(".py")
        found[package] = found.get(package, 0.0) + share
    return sorted(found.items(), key=lambda each: -each[1])


def record(server: ServerProcess, scenario: Scenario, kind: str, path: str) -> None:
    """Sample the server under load. Raises `ProfileError`."""
    words = wrk.command(f"{server.url}{scenario.path}", SECONDS + 1, scenario.connections)
    load = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        pid = server.processes()[-1]  # the worker, which was started last
        command = [str(BIN / "py-spy"), "record", "--gil", "--pid", str(pid), "--duration", str(SECONDS), "--function"]
        command += ["--rate", str(RATE), "--format", kind, "--output", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ProfileError(f"py-spy: {(done.stderr.strip() or 'no output').splitlines()[-1]}")
    finally:
        load.wait()


def shares(name: str, scenario: Scenario) -> list[tuple[str, float]]:
    """The functions of a server under this load, each with its own share of the time, largest first."""
    start = Start(scenario.application, free_address())
    with (
        prepared(SECONDS) as settings,
        running(SERVERS[name], start, settings.environ, scenario.path) as server,
        tempfile.NamedTemporaryFile("r") as file,
    ):
        record(server, scenario, "raw", file.name)
        found = own_time(file.read())
    total = sum(found.values()) or 1
    return [(function, count / total) for function, count in found.most_common()]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.profile.functions", description="Show where a server spends its time.")
    parser.add_argument("scenario", nargs="?", default="hello")
    parser.add_argument("--server", default="ropewalk", choices=SERVERS)
    parser.add_argument("--output", type=Path, help="write a flame graph (SVG) to this file instead")
    options = parser.parse_args()
    scenario = next((one for one in SCENARIOS if one.name == options.scenario), None)
    if scenario is None:
        known = ", ".join(one.name for one in SCENARIOS)
        usage_error(f"{options.scenario}: unknown scenario; choose from {known}", "bench.profile.functions")
    allow_many_descriptors()
    try:
        if options.output is None:
            found = shares(options.server, scenario)
            for name, share in [*by_package(found)[:SHOWN_PACKAGES], *found[:SHOWN]]:
                sys.stdout.write(f"{share:6.1%}  {name}\n")
            return 0
        start = Start(scenario.application, free_address())
        with prepared(SECONDS) as run, running(SERVERS[options.server], start, run.environ, scenario.path) as server:
            record(server, scenario, "flamegraph", str(options.output))
    except (ProfileError, StartError) as error:
        progress(f"bench.profile.functions: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
