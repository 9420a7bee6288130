"""`python -m bench`: measures, prints the tables, and writes docs/benchmarks. `make bench` runs it where it belongs."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.builds import build_of, compile_server
from bench.console import check_committed, check_writable, positive, positive_integer, progress, usage_error
from bench.machine import machine, versions
from bench.measure import THREADS, prepared
from bench.paths import DATA, PAGES, SERVER
from bench.report.page import load_results, unexplained, write
from bench.report.tables import terminal
from bench.results import Results
from bench.rounds import Plan, SampleStore, measure_rounds
from bench.scenarios import SCENARIOS, UNPUBLISHED, Scenario
from bench.server_process import allow_many_descriptors
from bench.servers import BEFORE, SERVERS, before, find_program, missing_servers
from bench.targets import COMPILED

SAMPLES = "samples.json"
CONNECTIONS = SCENARIOS[0].connections
MINUTES = 35.0  # of a whole run, unless --minutes says otherwise
SECONDS, MORE_SECONDS, MANY_MINUTES = 1.0, 2.0, 60.0
"""Of a load, and of one in a run of many minutes. More rounds say more than longer ones: each has new starts."""
MOST_ROUNDS = 100


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Compare Ropewalk with other servers, side by side.")
    parser.add_argument("scenario", nargs="*", help="only these: " + ", ".join(one.name for one in SCENARIOS))
    parser.add_argument("--quick", action="store_true", help="a few scenarios in one short round; writes no pages")
    parser.add_argument(
        "--rounds", type=positive_integer, help="the most interleaved rounds (default: as many as there is time for)"
    )
    parser.add_argument(
        "--seconds",
        type=positive,
        help=f"duration of each load (default: {SECONDS:g}, or {MORE_SECONDS:g} if there are {MANY_MINUTES:g} minutes)",
    )
    parser.add_argument("--only", default="", help="only these servers, separated by commas")
    parser.add_argument("--before", type=Path, help="the server/ folder of another checkout, to compare with this one")
    parser.add_argument("--output", type=Path, help="folder for results.json, README.md and plots/")
    parser.add_argument("--minutes", type=positive, help=f"the whole run, at least one round (default: {MINUTES:g})")
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
    if pages == PAGES and len(results["scenarios"]) < len(scenarios):
        progress("bench: not all scenarios are measured, so the page is not written; --resume continues\n")
    elif pages is not None:
        write(results, pages, data)
        for title in unexplained(results):
            progress(f"bench: a target is missed, and limits.md does not say why: {title}\n")
        if pages == PAGES and UNPUBLISHED:
            progress("bench: the page has every scenario now: empty UNPUBLISHED in compare/bench/scenarios.py\n")
    return 0


def make_plan(minutes: float | None, seconds: float | None) -> Plan:
    minutes = minutes or MINUTES
    return Plan(seconds or (MORE_SECONDS if minutes >= MANY_MINUTES else SECONDS), minutes)


def open_store(options: argparse.Namespace, facts: dict[str, str], path: Path) -> SampleStore:
    """The samples of a new run, or of the one to resume, which must be of the same revision, machine and versions."""
    about = {name: facts[name] for name in ("commit", "CPU", "memory", "kernel", "environment", "Python", "wrk")}
    about |= versions() | {"before": str(options.before or "")}
    store = SampleStore(path, about, make_plan(options.minutes, options.seconds))
    if options.resume:
        if reason := store.resume():
            usage_error(f"--resume: {reason}")
        store.plan.minutes = options.minutes or store.plan.minutes
        if options.seconds not in (None, store.plan.seconds):
            usage_error(f"--seconds {options.seconds:g}: the run to resume has {store.plan.seconds:g}")
    return store


def run(options: argparse.Namespace, scenarios: list[Scenario], facts: dict[str, str], samples: Path) -> Results:
    began = time.monotonic()
    if build_of(SERVER) == "compiled":
        usage_error(f"{SERVER / 'ropewalk'} has compiled objects, so there is no pure build to measure: remove them")
    if any(COMPILED in scenario.servers for scenario in scenarios):
        compile_server()
    missing = missing_servers()
    for name, reason in missing.items():
        progress(f"bench: without {name}: {reason}\n")
    store = open_store(options, facts, samples)
    rounds = options.rounds or (1 if options.quick else MOST_ROUNDS)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # keep the measurements, as after Ctrl-C
    store.plan.used += time.monotonic() - began
    with prepared(store.plan.seconds) as settings:
        measure_rounds(scenarios, settings, rounds, store)
    found = store.results(scenarios)
    counts = [one["rounds"] for one in found]
    return {
        "machine": facts,
        "versions": versions(),
        "missing": missing,
        "threads": THREADS,
        "connections": CONNECTIONS,
        "rounds": [min(counts, default=0), max(counts, default=0)],
        "seconds": store.plan.seconds,
        "scenarios": found,
    }


if __name__ == "__main__":
    sys.exit(main())
