"""`python -m bench`: measures, prints the tables, and writes docs/benchmarks. `make bench` runs it where it belongs."""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import replace
from pathlib import Path

from bench.console import check_committed, check_writable, positive, positive_integer, progress, usage_error
from bench.machine import machine, versions
from bench.measure import THREADS, prepared
from bench.paths import DATA, PAGES
from bench.report.page import load_results, write
from bench.report.tables import terminal
from bench.results import Results
from bench.rounds import SampleStore, measure_rounds
from bench.scenarios import SCENARIOS, Scenario
from bench.server_process import allow_many_descriptors
from bench.servers import BEFORE, SERVERS, before, find_program, missing_servers

SAMPLES = "samples.json"
CONNECTIONS = SCENARIOS[0].connections
FULL = {"rounds": 3, "seconds": 2.0, "budget": 30 * 60.0}
QUICK = {"rounds": 1, "seconds": 1.0, "budget": 3 * 60.0}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Compare Ropewalk with other servers, side by side.")
    parser.add_argument("scenario", nargs="*", help="only these: " + ", ".join(one.name for one in SCENARIOS))
    parser.add_argument("--quick", action="store_true", help="a few scenarios in one short round; writes no pages")
    parser.add_argument(
        "--rounds", type=positive_integer, help=f"number of interleaved rounds (default: {FULL['rounds']})"
    )
    parser.add_argument("--seconds", type=positive, help=f"duration of each load (default: {FULL['seconds']:g})")
    parser.add_argument("--only", default="", help="only these servers, separated by commas")
    parser.add_argument("--before", type=Path, help="the server/ folder of another checkout, to compare with this one")
    parser.add_argument("--output", type=Path, help="folder for results.json, README.md and plots/")
    parser.add_argument("--minutes", type=positive, help="start no round that would end later (default: 30)")
    parser.add_argument("--resume", action="store_true", help="continue the last run, which was interrupted")
    parser.add_argument("--render", action="store_true", help="write the pages from results.json without measuring")
    return parser.parse_args()


def selected(names: list[str], is_quick: bool, only: str) -> list[Scenario]:
    """The scenarios to measure, with the servers to measure. Exits with status 2 for an unknown name."""
    for name in filter(None, only.split(",")):
        if name not in SERVERS:
            usage_error(f"--only {name}: unknown server; choose from {', '.join(SERVERS)}")
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            usage_error(f"{name}: unknown scenario; choose from {', '.join(known)}")
    chosen = [one for one in SCENARIOS if one.name in names or (not names and (one.is_quick or not is_quick))]
    return [one.with_only(only.split(",")) for one in chosen] if only else chosen


def render(output: Path | None) -> int:
    """Write the pages from the results of the last whole run."""
    data = output or DATA
    try:
        results = load_results(data)
    except OSError as error:
        usage_error(f"--render: {error.filename}: {error.strerror}")
    write(results, output or PAGES, data)
    return 0


def main() -> int:
    options = arguments()
    if options.render:
        return render(options.output)
    scenarios = selected(options.scenario, options.quick, options.only)
    if find_program("wrk") is None:
        progress("bench: wrk is not installed: apt-get install wrk, or start a Docker engine\n")
        return 0  # a machine that cannot measure does not fail a build
    facts = machine()
    is_whole = not (options.quick or options.scenario or options.only or options.before)
    pages = options.output or (PAGES if is_whole else None)
    data = options.output or DATA
    if pages is not None:
        if not options.output:
            check_committed(facts["commit"])
        check_writable(pages)
    allow_many_descriptors()
    if options.before:
        if not (options.before / "ropewalk").is_dir():
            usage_error(
                f"--before {options.before}: must be the server/ folder of a checkout, with the package ropewalk"
            )
        SERVERS[BEFORE] = before(options.before)
        scenarios = [replace(one, servers=(*one.servers, BEFORE)) for one in scenarios]
    results = run(options, scenarios, facts, data / SAMPLES)
    sys.stdout.write(terminal(results))
    if pages is not None:
        write(results, pages, data)
    return 0


def run(options: argparse.Namespace, scenarios: list[Scenario], facts: dict[str, str], samples: Path) -> Results:
    mode = QUICK if options.quick else FULL
    rounds, seconds = options.rounds or int(mode["rounds"]), options.seconds or mode["seconds"]
    about = {name: facts[name] for name in ("commit", "environment", "Python")}
    store = SampleStore(samples, about | {"seconds": seconds, "before": str(options.before or "")})
    if options.resume and (reason := store.resume()):
        usage_error(f"--resume: {reason}")
    missing = missing_servers()
    for name, reason in missing.items():
        progress(f"bench: without {name}: {reason}\n")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # keep the measurements, as after Ctrl-C
    with prepared(seconds) as settings:
        measure_rounds(scenarios, settings, rounds, options.minutes * 60 if options.minutes else mode["budget"], store)
    found = store.results(scenarios)
    return {
        "machine": facts,
        "versions": versions(),
        "missing": missing,
        "threads": THREADS,
        "connections": CONNECTIONS,
        "rounds": max((one["rounds"] for one in found), default=0),
        "seconds": seconds,
        "scenarios": found,
    }


if __name__ == "__main__":
    sys.exit(main())
