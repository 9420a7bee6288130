"""Where a server's time goes: `python -m bench.profile [SCENARIO] [--server NAME] [--output FILE.svg]`.

py-spy samples the server's threads from outside while the load runs; only threads that hold the interpreter count, so
that a share is one of the time in which Python runs. Prints the functions by their own time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench import wrk
from bench.backends import BACKENDS, BIN, Start
from bench.measure import terms
from bench.running import Running, allow_many_descriptors, free_address, running
from bench.scenarios import SCENARIOS, Scenario

SECONDS = 5
RATE = 500  # samples a second
SHOWN = 40  # functions


def own_time(folded: str) -> Counter[str]:
    """Read folded stacks (`frame;frame;... count`): by function, in how many samples it was the innermost."""
    found: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        found[stack.rpartition(";")[2]] += int(count)
    return found


def record(server: Running, scenario: Scenario, kind: str, path: str) -> None:
    words = wrk.command(f"{server.url}{scenario.path}", SECONDS + 1, scenario.connections)
    load = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        pid = server.processes()[-1]  # the worker was started last
        command = [str(BIN / "py-spy"), "record", "--gil", "--pid", str(pid), "--duration", str(SECONDS), "--function"]
        command += ["--rate", str(RATE), "--format", kind, "--output", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"bench.profile: py-spy: {done.stderr.strip().splitlines()[-1]}")
    finally:
        load.wait()


def shares(name: str, scenario: Scenario) -> list[tuple[str, float]]:
    """The functions of a server under this load, each with the share of its time that is its own, largest first."""
    start = Start(scenario.application, free_address())
    with (
        terms(SECONDS) as run,
        running(BACKENDS[name], start, run.environ, scenario.path) as server,
        tempfile.NamedTemporaryFile("r") as file,
    ):
        record(server, scenario, "raw", file.name)
        found = own_time(file.read())
    total = sum(found.values()) or 1
    return [(function, count / total) for function, count in found.most_common()]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.profile", description="Shows where a server's time goes.")
    parser.add_argument("scenario", nargs="?", default="hello")
    parser.add_argument("--server", default="ropewalk", choices=BACKENDS)
    parser.add_argument("--output", type=Path, help="write a flame graph (SVG) there instead")
    options = parser.parse_args()
    scenario = next((one for one in SCENARIOS if one.name == options.scenario), None)
    if scenario is None:
        raise SystemExit(f"bench.profile: {options.scenario}: no such scenario")
    allow_many_descriptors()
    if not options.output:
        for function, share in shares(options.server, scenario)[:SHOWN]:
            sys.stdout.write(f"{share:6.1%}  {function}\n")
        return 0
    start = Start(scenario.application, free_address())
    with terms(SECONDS) as run, running(BACKENDS[options.server], start, run.environ, scenario.path) as server:
        record(server, scenario, "flamegraph", str(options.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
