"""`python -m bench`: measure, print the table, and write docs/benchmarks. `make bench` runs it in its environment."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.backends import BACKENDS, BEFORE, before, missing, tool
from bench.machine import machine, versions
from bench.measure import terms
from bench.plots import chart
from bench.report import Results, document, terminal
from bench.rounds import measure, say
from bench.running import allow_many_descriptors
from bench.scenarios import SCENARIOS, Scenario

DOCS = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"
FULL = {"rounds": 3, "seconds": 3.0, "budget": 25 * 60.0}
QUICK = {"rounds": 1, "seconds": 1.0, "budget": 2 * 60.0}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Compares Ropewalk with other servers, side by side.")
    parser.add_argument("scenario", nargs="*", help="only these: " + ", ".join(one.name for one in SCENARIOS))
    parser.add_argument("--quick", action="store_true", help="few scenarios, one short round; writes no documents")
    parser.add_argument("--rounds", type=int, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, help="of load in each")
    parser.add_argument("--only", default="", help="only these servers, separated by commas")
    parser.add_argument("--before", type=Path, help="another checkout's server/, which is measured beside this one")
    parser.add_argument("--output", type=Path, help="folder for results.json, README.md and the plots")
    return parser.parse_args()


def wanted(names: list[str], is_quick: bool, only: str) -> list[Scenario]:
    """The scenarios that were asked for, with those servers. Raises `SystemExit` for a name that is none."""
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            raise SystemExit(f"bench: {name}: no such scenario; there are {', '.join(known)}")
    chosen = [one for one in SCENARIOS if one.name in names or (not names and (one.is_quick or not is_quick))]
    return [one.with_only(only.split(",")) for one in chosen] if only else chosen


def main() -> int:
    options = arguments()
    scenarios = wanted(options.scenario, options.quick, options.only)
    mode = QUICK if options.quick else FULL
    rounds, seconds = options.rounds or int(mode["rounds"]), options.seconds or mode["seconds"]
    if tool("wrk") is None:
        say("bench: wrk is not installed: apt-get install wrk\n")
        return 0  # nothing to compare with is no fault of a build
    allow_many_descriptors()
    if options.before:
        BACKENDS[BEFORE] = before(options.before)
        scenarios = [replace(one, backends=(*one.backends, BEFORE)) for one in scenarios]
    results: Results = {
        "machine": machine(),
        "versions": versions(),
        "missing": missing(),
        "threads": 8,
        "connections": 32,
        "rounds": rounds,
        "seconds": seconds,
        "scenarios": [],
    }
    for name, reason in results["missing"].items():
        say(f"bench: without {name}: {reason}\n")
    began = time.monotonic()
    with terms(seconds) as run:
        for number, scenario in enumerate(scenarios, 1):
            deadline = began + mode["budget"] * number / len(scenarios)
            results["scenarios"].append(measure(scenario, run, rounds, deadline))
    sys.stdout.write(terminal(results))
    if options.output or not (options.quick or options.scenario or options.only or options.before):
        write(results, options.output or DOCS)
    return 0


def write(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    (folder / "README.md").write_text(document(results))
    for scenario in results["scenarios"]:
        (folder / f"{scenario['name']}.svg").write_text(chart(scenario))


if __name__ == "__main__":
    sys.exit(main())
