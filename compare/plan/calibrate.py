"""What the machine and the server take: measured here, or as measured elsewhere.

Only what physics gives is measured, with requests that do nothing, or only wait: no cost is chosen so that predictions
come true. `make plan-check` measures and keeps the costs; `make plan` uses them, and otherwise those below.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

from bench.paths import ROOT
from bench.server_process import CPUS, ServerProcess
from plan.server import load, serving
from plan.simulation import Host, simulate
from plan.worker import Costs
from plan.workload import Request
from ropewalk.threads.controller import RESCUE_INTERVAL

COSTS = ROOT / ".run" / "plan" / "costs.json"
USUAL = Costs(server=150e-6, tick=15e-6, busy_tick=150e-6, nginx=100e-6, transport=100e-6, oversleep=100e-6)
"""Rounded up from an AMD EPYC in a virtual machine, CPython 3.11. nginx: with TLS and a log line."""

USUAL_COSTS = "usual ones; `make plan-check` measures those of this machine"

RATE = 50  # requests a second, evenly: each finds the server idle
COUNT = 100
WAITING = 0.010  # seconds
LONG_WAIT = 2.0
EMPTY = [Request(0.0, 0.0, 0.0)] * 2000
BURSTS = [[Request(0.0, milliseconds / 1e3, 0.0)] * (800 // milliseconds) for milliseconds in (10, 20, 40)] * 2


def measure() -> Costs:
    """Measure the costs on this machine, in about ten seconds. Raises `StartError` or `LoadError`."""
    with serving(workers=1, threads=8) as process:
        idle = median(load(process, [Request(number / RATE, 0.0, 0.0) for number in range(COUNT)]).times)
        waiting = median(load(process, [Request(number / RATE, 0.0, WAITING) for number in range(COUNT)]).times)
        tick = load(process, [Request(0.0, 0.0, LONG_WAIT)]).cpu_seconds / (LONG_WAIT / RESCUE_INTERVAL)
        server = load(process, EMPTY).cpu_seconds / len(EMPTY)
        costs = Costs(server, tick, 0.0, USUAL.nginx, max(0.0, idle - server), max(0.0, waiting - idle - WAITING))
        return replace(costs, busy_tick=_busy_tick_seconds(process, costs))


def _busy_tick_seconds(process: ServerProcess, costs: Costs) -> float:
    """By how much each tick delays requests that all compute: what the simulation of these does not know yet.

    The median of some bursts, since the machine may pause in one of them.
    """
    found = []
    for burst in BURSTS:
        measured = load(process, burst)
        simulated = simulate(Host(len(CPUS), 1, 8, measured.connections), burst, costs)
        missing = max(measured.times) - costs.transport - simulated.seconds
        found.append(missing / simulated.busy_ticks)
    return max(0.0, median(found))


def keep(costs: Costs, path: Path = COSTS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(costs), indent=1) + "\n")


def kept(path: Path = COSTS) -> Costs | None:
    """The costs of this machine, if they have been measured; None also for a file of another version."""
    try:
        return Costs(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
