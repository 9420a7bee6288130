"""`python -m faults`: runs the scenarios, prints a table and writes docs/fault-injection.md; `make faults` runs it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from bench.console import check_committed, check_writable, progress, usage_error
from bench.machine import machine
from bench.paths import DOCS, ROOT
from bench.report.markdown import replace_regions
from faults.report import Results, ScenarioResult, mark, page_regions, reasons, terminal
from faults.run.scenario import Scenario, run_scenario
from faults.run.servers import SERVERS, Server
from faults.scenarios import SCENARIOS

PAGE = "fault-injection.md"
DATA = ROOT / ".run" / "faults"
RESULTS = "results.json"
FACTS = ("date", "CPU", "memory", "kernel", "Python", "load average at the start", "commit")
QUICK_PACE = 0.3


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="faults", description="Count the requests that a server drops under faults.")
    parser.add_argument("scenario", nargs="*", help="only these: " + ", ".join(one.name for one in SCENARIOS))
    parser.add_argument("--quick", action="store_true", help="shorter scenarios; writes no page")
    parser.add_argument("--only", choices=SERVERS, help="only this server")
    parser.add_argument("--output", type=Path, help=f"folder for {PAGE} and {RESULTS}")
    parser.add_argument("--render", action="store_true", help=f"write the page from {RESULTS} without a run")
    return parser.parse_args()


def selected(names: list[str]) -> list[Scenario]:
    """The scenarios to run. Exits with status 2 for an unknown name."""
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            usage_error(f"{name}: unknown scenario; choose from {', '.join(known)}", "faults")
    return [known[name] for name in names] or SCENARIOS


def main() -> int:
    options = arguments()
    folder, data = options.output or DOCS, options.output or DATA
    if options.render:
        try:
            write(Results.from_json(json.loads((data / RESULTS).read_text())), folder, data)
        except OSError as error:
            usage_error(f"--render: {error.filename}: {error.strerror}", "faults")
        return 0
    scenarios = selected(options.scenario)
    servers = [SERVERS[options.only]] if options.only else list(SERVERS.values())
    facts = machine()
    writes = options.output or not (options.quick or options.scenario or options.only)
    if writes:
        if not options.output:
            check_committed(facts["commit"], "faults")
        check_writable(folder, "faults")
    results = Results({name: facts[name] for name in FACTS}, {server.name: server.version() for server in servers})
    run_all(results, scenarios, servers, QUICK_PACE if options.quick else 1.0)
    sys.stdout.write(terminal(results))
    if writes:
        write(results, folder, data)
    return 0


def run_all(results: Results, scenarios: list[Scenario], servers: list[Server], pace: float) -> None:
    for scenario in scenarios:
        rows = []
        for server in servers:
            began = time.monotonic()
            row = run_scenario(scenario, server, pace=pace)
            rows.append(row)
            outcome = row.skipped or reasons(row)
            progress(f"{mark(row)} {scenario.name:17} {server.name:9} {time.monotonic() - began:5.1f} s  {outcome}\n")
        results.scenarios.append(ScenarioResult(scenario.name, scenario.title, scenario.description, rows))


def write(results: Results, folder: Path, data: Path) -> None:
    """Write the page to `folder`, and results.json to `data`."""
    for path in (folder, data):
        path.mkdir(parents=True, exist_ok=True)
    (data / RESULTS).write_text(json.dumps(results.to_json(), indent=1, ensure_ascii=False) + "\n")
    (folder / PAGE).write_text(replace_regions((DOCS / PAGE).read_text(), page_regions(results)))


if __name__ == "__main__":
    sys.exit(main())
