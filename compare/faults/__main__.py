"""`python -m faults`: load, faults, a table, and docs/reliability.md. `make faults` runs it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from bench.machine import machine
from faults.load import Crowd
from faults.report import Results, document, mark, terminal, why
from faults.scenarios import SCENARIOS
from faults.servers import GRACEFUL_SECONDS, KEEP_ALIVE_SECONDS, SERVERS, Start
from faults.stage import Scenario, perform

DOCS = Path(__file__).resolve().parents[2] / "docs"
FACTS = ("date", "processor", "memory", "kernel", "python", "load average at the start", "commit")
QUICK_PACE = 0.3


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="faults", description="What a server drops when something goes wrong.")
    parser.add_argument("scenario", nargs="*", help="only these: " + ", ".join(one.name for one in SCENARIOS))
    parser.add_argument("--quick", action="store_true", help="each shorter; writes no documents")
    parser.add_argument("--only", choices=SERVERS, help="only this server")
    parser.add_argument("--output", type=Path, help="folder for reliability.md and reliability.json")
    return parser.parse_args()


def wanted(names: list[str]) -> list[Scenario]:
    """The scenarios that were asked for. Raises `SystemExit` for a name that is none."""
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            raise SystemExit(f"faults: {name}: no such scenario; there are {', '.join(known)}")
    return [known[name] for name in names] or SCENARIOS


def say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def main() -> int:
    options = arguments()
    servers = [SERVERS[options.only]] if options.only else list(SERVERS.values())
    start, crowd, facts = Start(), Crowd(), machine()
    results: Results = {
        "machine": {name: facts[name] for name in FACTS},
        "versions": {server.name: server.version() for server in servers},
        "start": {"workers": start.workers, "threads": start.threads, "timeout": start.timeout},
        "graceful": GRACEFUL_SECONDS,
        "keep_alive": KEEP_ALIVE_SECONDS,
        "kept": crowd.kept,
        "fresh": crowd.fresh,
        "scenarios": [],
    }
    for scenario in wanted(options.scenario):
        rows = []
        for server in servers:
            began = time.monotonic()
            row = perform(scenario, server, pace=QUICK_PACE if options.quick else 1.0).plain()
            rows.append(row)
            outcome = row["not_done"] or why(row)
            say(f"{mark(row)} {scenario.name:13} {server.name:9} {time.monotonic() - began:5.1f} s  {outcome}\n")
        results["scenarios"].append(
            {"name": scenario.name, "title": scenario.title, "what": scenario.what, "rows": rows}
        )
    sys.stdout.write(terminal(results))
    if options.output or not (options.quick or options.scenario or options.only):
        write(results, options.output or DOCS)
    return 0


def write(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reliability.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    (folder / "reliability.md").write_text(document(results))


if __name__ == "__main__":
    sys.exit(main())
