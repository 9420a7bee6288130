"""`make plan-check`: the simulation beside the real server, given the same requests; writes docs/scaling.md.

Each row is loaded in several rounds, and all rows take turns, so that what else the machine does meets all of them. As
root, the server and the load run with a real-time priority: other processes do not take the processor from them.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product

from bench.console import check_writable, positive_integer, progress, usage_error
from bench.machine import machine
from bench.paths import DOCS
from bench.report.markdown import replace_regions, table
from bench.server_process import CPUS, ServerProcess, StartError
from plan import calibrate
from plan.__main__ import lines
from plan.inputs import question
from plan.planner import Planner
from plan.server import LoadError, load, serving
from plan.simulation import Host, percentile, simulate
from plan.worker import Costs
from plan.workload import Distribution, Request, Workload

PAGE = DOCS / "scaling.md"
UTILISATIONS = (0.3, 0.6, 0.8, 0.9, 0.95)
ROUNDS = 2
REQUESTS = 100  # in each round of a row
AIM = 0.15  # error that is allowed,
AIM_UTILISATION = 0.9  # up to this utilisation
FIGURES = ("p50", "p99", "rate")
HEADING = ("utilisation", *(f"{name} {what}" for name in FIGURES for what in ("predicted", "measured", "error")))
FACTS = ("date", "CPU", "kernel", "environment", "Python", "load average at the start", "commit")


@dataclass(frozen=True, slots=True)
class Kind:
    """What requests do, and the server that they are sent to."""

    title: str
    service_seconds: float
    cpu_share: float
    workers: int
    threads: int

    @property
    def short(self) -> str:
        return self.title.partition(",")[0].lower()

    @property
    def capacity(self) -> float:
        """Requests a second at which all threads, or all interpreters, would always be in use."""
        by_threads = self.workers * self.threads / self.service_seconds
        computes = self.service_seconds * self.cpu_share
        return min(by_threads, self.workers / computes) if computes else by_threads


KINDS = (
    Kind("Waiting 40 ms, two workers of four threads", 0.040, 0.0, workers=2, threads=4),
    Kind("Computing 20 ms, one worker of eight threads", 0.020, 1.0, workers=1, threads=8),
    Kind("Computing 20 ms and waiting 40 ms, one worker of eight threads", 0.060, 1 / 3, workers=1, threads=8),
)


@dataclass(slots=True)
class Side:
    """Response times, and the seconds that all rounds took."""

    times: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, times: list[float], seconds: float) -> None:
        self.times += times
        self.seconds += seconds

    @property
    def figures(self) -> tuple[float, float, float]:
        """p50 and p99 in milliseconds, and responses a second."""
        return percentile(self.times, 0.5) * 1e3, percentile(self.times, 0.99) * 1e3, len(self.times) / self.seconds


@dataclass(slots=True)
class Row:
    kind: Kind
    distribution: Distribution
    utilisation: float
    predicted: Side = field(default_factory=Side)
    measured: Side = field(default_factory=Side)

    def requests(self, count: int, seed: int) -> list[Request]:
        rate = self.kind.capacity * self.utilisation
        return Workload(rate, self.kind.service_seconds, self.kind.cpu_share, self.distribution).requests(count, seed)

    def measure(self, process: ServerProcess, count: int, seed: int, costs: Costs) -> None:
        """Raises `LoadError`."""
        requests = self.requests(count, seed)
        measured = load(process, requests)
        host = Host(len(CPUS), self.kind.workers, self.kind.threads, measured.connections)
        predicted = simulate(host, requests, costs)
        self.measured.add(measured.times, measured.seconds)
        self.predicted.add(predicted.times, predicted.seconds + requests[0].due)

    @property
    def errors(self) -> tuple[float, ...]:
        """Of p50, p99 and rate: by what share the prediction is above the measurement."""
        return tuple(ours / real - 1 for ours, real in zip(self.predicted.figures, self.measured.figures, strict=True))

    @property
    def cells(self) -> list[str]:
        found = [f"{self.utilisation:.0%}"]
        for number, (ours, real) in enumerate(zip(self.predicted.figures, self.measured.figures, strict=True)):
            unit = "/s" if number == 2 else " ms"
            found += [f"{ours:.1f}{unit}", f"{real:.1f}{unit}", f"{self.errors[number]:+.0%}"]
        return found


def run(rounds: int, count: int, costs: Costs) -> list[Row]:
    """Raises `StartError` or `LoadError`."""
    rows = [Row(*each) for each in product(KINDS, Distribution, UTILISATIONS)]
    with ExitStack() as stack:
        servers = {kind: stack.enter_context(serving(kind.workers, kind.threads)) for kind in KINDS}
        for seed in range(1, rounds + 1):
            order = random.Random(seed).sample(rows, len(rows))
            for number, row in enumerate(order, 1):
                progress(f"\rround {seed} of {rounds}, {number} of {len(rows)} ")
                row.measure(servers[row.kind], count, seed, costs)
    progress("\n")
    return rows


def summary(rows: list[Row]) -> str:
    """How many are within the aim, and which are not."""
    counted = [row for row in rows if row.utilisation <= AIM_UTILISATION]
    missed = [
        f"{name} of {row.kind.short}, {row.distribution.value}, at {row.utilisation:.0%} ({error:+.0%})"
        for row in counted
        for name, error in zip(FIGURES, row.errors, strict=True)
        if abs(error) > AIM
    ]
    text = f"Up to {AIM_UTILISATION:.0%}, {3 * len(counted) - len(missed)} of {3 * len(counted)} are within {AIM:.0%}."
    return text + (f" Not: {'; '.join(missed)}." if missed else "")


def results(rows: list[Row]) -> Iterator[str]:
    yield summary(rows)
    for kind in KINDS:
        yield f"### {kind.title}"
        for distribution in Distribution:
            yield distribution.value.capitalize() + ":"
            yield table(HEADING, [row.cells for row in rows if (row.kind, row.distribution) == (kind, distribution)])


def example() -> str:
    """The command of the page and what it prints, with the usual costs, so that it is the same everywhere."""
    variables = {"RATE": "5000", "SERVICE_TIME": "40ms", "P99": "250ms", "CORES": "8"}
    asked = question(variables)
    usual = calibrate.USUAL
    printed = lines(asked, Planner(asked, usual).plan(), calibrate.USUAL_COSTS, usual.nginx)
    command = " ".join(f"{name}={value}" for name, value in variables.items())
    return "\n".join(f"    {line}" for line in [f"make plan {command}", *printed])


def costs_table(costs: Costs) -> str:
    rows = [
        ("the server's part of a request, in a busy server", costs.server),
        ("a tick of the controller, while requests wait", costs.tick),
        ("a tick of the controller, while one computes", costs.busy_tick),
        ("the rest of the time of a request that does nothing", costs.transport),
        ("by which a wait is longer than asked for", costs.oversleep),
    ]
    return table(("cost", "measured"), [(name, f"{seconds * 1e6:.0f} µs") for name, seconds in rows])


def main() -> int:
    parser = argparse.ArgumentParser(prog="plan-check", description="Compare the simulation with the server.")
    parser.add_argument("--rounds", type=positive_integer, default=ROUNDS)
    parser.add_argument("--requests", type=positive_integer, default=REQUESTS, help="of each row in a round")
    parser.add_argument("--print", action="store_true", help="write no page")
    options = parser.parse_args()
    facts = machine()
    if not options.print:
        if facts["commit"].endswith("-dirty"):
            usage_error("the checkout has uncommitted changes: commit them, or use PLAN=--print", "plan-check")
        check_writable(PAGE.parent, "plan-check")
    try:
        costs = calibrate.measure()
        rows = run(options.rounds, options.requests, costs)
    except (StartError, LoadError) as error:
        progress(f"\nplan-check: {error}\n")
        return 1
    calibrate.keep(costs)
    contents = {
        "example": example(),
        "environment": table(("", ""), [(name, facts[name]) for name in FACTS]) + "\n\n" + costs_table(costs),
        "results": "\n\n".join(results(rows)),
    }
    if not options.print:
        PAGE.write_text(replace_regions(PAGE.read_text(), contents))
    sys.stdout.write("\n\n".join(contents.values()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
