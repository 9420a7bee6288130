"""`make plan`: how many machines, workers and threads a site needs."""

from __future__ import annotations

import os
import sys

from bench.console import progress, usage_error
from plan import calibrate
from plan.inputs import InputError, Question, question
from plan.planner import ImpossibleError, Plan, Planner, milliseconds
from plan.simulation import Fleet

HALF_IDLE = 0.4  # used less than this, nothing is scarce


def limit(plan: Plan) -> str:
    """What is used most, and what more of it would take."""
    fleet, found = plan.fleet, plan.prediction
    if max(found.threads, found.interpreter, found.cores) < HALF_IDLE:
        return "the p99: it is close to what requests take alone, so that hardly any may wait for another one"
    if found.threads > max(found.interpreter, found.cores):
        return "the threads: requests wait for one while processors are free; more threads cost memory alone"
    if fleet.workers < fleet.cores:
        return "the GIL: one thread of a worker computes at a time; the machine has cores for more workers"
    if found.cores > found.interpreter:
        return "the cores: the workers and nginx use them; only more cores or machines help"
    return "the GIL and the cores: one thread of a worker computes at a time, and each core has its worker"


def lines(asked: Question, plan: Plan, costs_from: str) -> list[str]:
    fleet, found, workload = plan.fleet, plan.prediction, asked.workload
    machines = "1 machine" if fleet.machines == 1 else f"{fleet.machines} machines"
    cores = "1 core" if fleet.cores == 1 else f"{fleet.cores} cores"
    asked_line = (
        f"asked      {workload.rate:g} requests/s of {milliseconds(workload.service_seconds)} "
        f"({workload.distribution.value}, {workload.cpu_share:.0%} computed), p99 within {milliseconds(asked.p99)}"
    )
    used = f"{found.cores:.0%} of the cores, {found.interpreter:.0%} of each worker's GIL"
    return [
        asked_line,
        f"needed     {machines} of {cores}, each with WEB_CONCURRENCY={fleet.workers} and THREADS={fleet.threads}",
        f"predicted  p50 {milliseconds(found.percentile(0.5))}, p99 {milliseconds(found.percentile(0.99))}",
        f"in use     {used}, {found.threads:.0%} of the threads",
        f"limit      {limit(plan)}",
        f"costs      {costs_from}",
    ]


def main() -> int:
    try:
        asked = question(os.environ)
    except InputError as error:
        usage_error(str(error), "plan")
    measured = calibrate.kept()

    def show(fleet: Fleet) -> None:
        if sys.stderr.isatty():
            progress(f"\r\033[Ksimulating {fleet.machines} × {fleet.workers} workers × {fleet.threads} threads")

    try:
        plan = Planner(asked, measured or calibrate.USUAL, show).plan()
    except ImpossibleError as error:
        progress(f"plan: {error}\n")
        return 1
    finally:
        if sys.stderr.isatty():
            progress("\r\033[K")
    origin = "measured on this machine" if measured else calibrate.USUAL_COSTS
    sys.stdout.write("\n".join(lines(asked, plan, origin)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
