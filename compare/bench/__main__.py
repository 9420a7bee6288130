"""`python -m bench`: measure, print the table, and write docs/benchmarks. `make bench` runs it in its environment."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from bench.backends import BACKENDS, BEFORE, before, missing, tool
from bench.machine import machine, versions
from bench.measure import terms
from bench.notes import read_notes
from bench.plots import chart
from bench.report import Results, document, terminal
from bench.rounds import Kept, measure, say
from bench.running import allow_many_descriptors
from bench.scenarios import SCENARIOS, Scenario

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "benchmarks"
KEPT = ROOT / ".run" / "bench-samples.json"
FULL = {"rounds": 3, "seconds": 2.0, "budget": 30 * 60.0}
QUICK = {"rounds": 1, "seconds": 1.0, "budget": 3 * 60.0}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Compares Ropewalk with other servers, side by side.")
    parser.add_argument("scenario", nargs="*", help="only these: " + ", ".join(one.name for one in SCENARIOS))
    parser.add_argument("--quick", action="store_true", help="few scenarios, one short round; writes no documents")
    parser.add_argument("--rounds", type=int, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, help="of load in each")
    parser.add_argument("--only", default="", help="only these servers, separated by commas")
    parser.add_argument("--before", type=Path, help="another checkout's server/, which is measured beside this one")
    parser.add_argument("--output", type=Path, help="folder for results.json, README.md and the plots")
    parser.add_argument("--minutes", type=float, help="no further round begins that would end later")
    parser.add_argument("--resume", action="store_true", help="go on with the run that was interrupted last")
    parser.add_argument("--render", action="store_true", help="measure nothing: documents anew from results.json")
    return parser.parse_args()


def usage_error(text: str) -> NoReturn:
    say(f"bench: {text}\n")
    raise SystemExit(2)


def wanted(names: list[str], is_quick: bool, only: str) -> list[Scenario]:
    """The scenarios that were asked for, with those servers. Raises `SystemExit` for a name that is none."""
    for name in filter(None, only.split(",")):
        if name not in BACKENDS:
            usage_error(f"--only {name}: no such server; there are {', '.join(BACKENDS)}")
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            usage_error(f"{name}: no such scenario; there are {', '.join(known)}")
    chosen = [one for one in SCENARIOS if one.name in names or (not names and (one.is_quick or not is_quick))]
    return [one.with_only(only.split(",")) for one in chosen] if only else chosen


def check_writable(folder: Path) -> None:
    """Before half an hour of measuring, rather than behind it. Raises `SystemExit`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        usage_error(f"{folder}: the results could not be written: {error.strerror}")


def main() -> int:
    options = arguments()
    if options.render:
        folder = options.output or DOCS
        write(json.loads((folder / "results.json").read_text()), folder)
        return 0
    scenarios = wanted(options.scenario, options.quick, options.only)
    mode = QUICK if options.quick else FULL
    rounds, seconds = options.rounds or int(mode["rounds"]), options.seconds or mode["seconds"]
    if tool("wrk") is None:
        say("bench: wrk is not installed: apt-get install wrk, or start a Docker engine\n")
        return 0  # nothing to compare with is no fault of a build
    is_all = not (options.quick or options.scenario or options.only or options.before)
    folder = options.output or (DOCS if is_all else None)
    if folder is not None:
        check_writable(folder)
    allow_many_descriptors()
    if options.before:
        BACKENDS[BEFORE] = before(options.before)
        scenarios = [replace(one, backends=(*one.backends, BEFORE)) for one in scenarios]
    facts = machine()
    about = {name: facts[name] for name in ("commit", "where", "python")}
    path = options.output / KEPT.name if options.output else KEPT
    kept = Kept(path, about | {"seconds": seconds, "before": str(options.before or "")})
    refusal = kept.resume() if options.resume else ""
    if refusal:
        raise SystemExit(f"bench: nothing to resume: {refusal}")
    results: Results = {
        "machine": facts,
        "versions": versions(),
        "missing": missing(),
        "threads": 8,
        "connections": 32,
        "rounds": 0,
        "seconds": seconds,
        "scenarios": [],
    }
    for name, reason in results["missing"].items():
        say(f"bench: without {name}: {reason}\n")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended or interrupted, what was measured is written
    with terms(seconds) as run:
        measure(scenarios, run, rounds, options.minutes * 60 if options.minutes else mode["budget"], kept)
    results["scenarios"] = kept.results(scenarios)
    results["rounds"] = max((one["rounds"] for one in results["scenarios"]), default=0)
    sys.stdout.write(terminal(results))
    if folder is not None:
        write(results, folder)
    return 0


def write(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    (folder / "README.md").write_text(document(results, read_notes()))
    for scenario in results["scenarios"]:
        (folder / f"{scenario['name']}.svg").write_text(chart(scenario))


if __name__ == "__main__":
    sys.exit(main())
