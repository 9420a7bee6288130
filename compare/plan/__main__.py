"""`make plan`: how many machines, workers and threads a site needs."""

from __future__ import annotations

import os
import sys
from math import ceil

from bench.console import progress, usage_error
from plan import calibrate
from plan.inputs import InputError, Question, question
from plan.planner import THREADS, USUAL_USE, Fleet, ImpossibleError, Plan, Planner, readable

HALF_IDLE = 0.4  # used less than this, nothing is scarce
NEARLY_FULL = 0.8  # processors used more than this: threads then wait for them
POSTGRESQL_CONNECTIONS = 100  # its max_connections by default
INTERRUPTED = 130  # 128 + SIGINT


def limit(plan: Plan) -> str:
    """What is used most, and what more of it would take."""
    fleet, found = plan.fleet, plan.prediction
    if max(found.threads, found.interpreter, found.cores) < HALF_IDLE:
        if (fleet.machines, fleet.workers, fleet.threads) == (1, 1, THREADS[0]):
            return "nothing: there is no smaller fleet"
        return "the p99: it is close to what requests take alone, so that hardly any may wait for another one"
    if NEARLY_FULL > max(found.interpreter, found.cores) < found.threads:
        return "the threads: requests wait for one while processors are free; more threads cost memory alone"
    if fleet.workers < fleet.cores:
        return "the GIL: one thread of a worker computes at a time; the machine has cores for more workers"
    if found.cores > found.interpreter:
        return "the cores: the workers and nginx use them; only more cores or machines help"
    return "the GIL and the cores: one thread of a worker computes at a time, and each core has its worker"


def settings(asked: Question, fleet: Fleet, nginx_seconds: float) -> str:
    """The variables of each machine's .env, without those whose default will do."""
    nginx_cpus = ceil(asked.workload.rate / fleet.machines * nginx_seconds / USUAL_USE)
    found = {"APP_CPUS": fleet.workers, "WEB_CONCURRENCY": fleet.workers, "THREADS": fleet.threads}
    if nginx_cpus > 1:
        found["NGINX_CPUS"] = min(nginx_cpus, fleet.cores)
    return " ".join(f"{name}={value}" for name, value in found.items())


def database_connections(fleet: Fleet) -> str:
    """While workers are replaced, there is one more."""
    count = fleet.machines * (fleet.workers + 1) * (fleet.threads + 1)
    allowed = f"; PostgreSQL allows {POSTGRESQL_CONNECTIONS} by default" if count > POSTGRESQL_CONNECTIONS else ""
    return f"up to {count:,} connections, if each thread keeps one{allowed}"


def lines(asked: Question, plan: Plan, costs_from: str, nginx_seconds: float) -> list[str]:
    fleet, found, workload = plan.fleet, plan.prediction, asked.workload
    machines = "1 machine" if fleet.machines == 1 else f"{fleet.machines:,} machines"
    cores = "1 core" if fleet.cores == 1 else f"{fleet.cores} cores"
    asked_line = (
        f"asked      {workload.rate:,.10g} requests/s of {readable(workload.service_seconds)} "
        f"({workload.distribution.value}, {workload.cpu_share:.0%} computed), p99 within {readable(asked.p99)}"
    )
    used = f"{found.cores:.0%} of the cores, {found.interpreter:.0%} of each worker's GIL"
    text = [
        asked_line,
        f"needed     {machines} of {cores}; one more, if one may fail",
        f"settings   {settings(asked, fleet, nginx_seconds)}",
        f"predicted  p50 {readable(found.percentile(0.5))}, p99 {readable(found.percentile(0.99))}",
        f"in use     {used}, {found.threads:.0%} of the threads",
        f"limit      {limit(plan)}",
        f"database   {database_connections(fleet)}",
        f"costs      {costs_from}",
    ]
    if plan.fuller:
        fewer, p99 = plan.fuller
        count = "1 machine has" if fewer == 1 else f"{fewer:,} machines have"
        text.insert(-2, f"otherwise  {count} a p99 of about {readable(p99)}, with {USUAL_USE:.0%} of the cores in use")
    return text


def main() -> int:
    try:
        asked = question(os.environ)
    except InputError as error:
        usage_error(str(error), "plan")
    measured = calibrate.kept()
    costs = measured or calibrate.USUAL

    def show(fleet: Fleet) -> None:
        if sys.stderr.isatty():
            progress(f"\r\033[Ksimulating {fleet.machines} × {fleet.workers} workers × {fleet.threads} threads")

    try:
        plan = Planner(asked, costs, show).plan()
    except ImpossibleError as error:
        progress(f"plan: {error}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if sys.stderr.isatty():
            progress("\r\033[K")
    origin = "measured on this machine" if measured else calibrate.USUAL_COSTS
    sys.stdout.write("\n".join(lines(asked, plan, origin, costs.nginx)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
