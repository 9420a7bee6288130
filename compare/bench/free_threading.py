"""One process without the GIL, compared with one process per CPU with the GIL, on the same interpreter.

    python -m bench.free_threading --python PATH_OF_A_FREE_THREADED_PYTHON

Prints the rate, requests per second of CPU time (which does not depend on what else runs on the machine), p99 and
memory (shared pages counted once), as the medians of interleaved rounds with their range. The server has all CPUs and
shares them with the load. Django is measured if that interpreter has it.

A worker has a master, which takes memory but no CPU time; a program that calls `ropewalk.serve` has none.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from bench.console import positive, positive_integer, progress
from bench.loads import wrk
from bench.measure import Sample, loops_per_millisecond
from bench.paths import APPLICATIONS
from bench.server_process import CPUS, TICKS, StartError, free_address, running
from bench.servers import Server, Start

WARM_UP_SECONDS = 1.0
CONNECTIONS = 32
THREADS = 8
PATHS = {"hello": "/hello", "computes": "/hello", "django_json": "/greeting", "large": "/hello"}  # by application

FREE, LOCKED = "1 worker without the GIL", f"{len(CPUS)} workers with the GIL"
NO_MASTER = "1 process without the GIL and master"
PROBE = "import sys, sysconfig; print(sysconfig.get_config_var('Py_GIL_DISABLED'), sys.version)"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.free_threading", description="Measure one process without the GIL.")
    parser.add_argument("--python", default=sys.executable, help="a free-threaded interpreter, 3.13 or later")
    parser.add_argument("--rounds", type=positive_integer, default=5)
    parser.add_argument("--seconds", type=positive, default=3.0)
    return parser.parse_args()


def server(python: str, name: str) -> Server:
    is_free = name != LOCKED

    def command(start: Start) -> list[str]:
        words = [python, "-X", f"gil={0 if is_free else 1}"]
        if name == NO_MASTER:
            script = str(APPLICATIONS / "run_without_master.py")
            return [*words, script, start.module, start.bind, str(start.threads)]
        words += ["-m", "ropewalk", start.target]
        words += ["--bind", start.bind, "--threads", str(start.threads), "--log-level", "warning"]
        return [*words, "--workers", "1" if is_free else str(len(CPUS))]

    return Server(name, "", command)


def measure(server: Server, application: str, environ: dict[str, str], seconds: float) -> Sample:
    start = Start(application, free_address(), threads=THREADS)
    path = PATHS[application]
    with running(server, start, environ, path, set(CPUS)) as process:
        wrk.load(wrk.command(f"{process.url}{path}", WARM_UP_SECONDS, CONNECTIONS), WARM_UP_SECONDS)
        used = process.cpu_seconds()
        load = wrk.load(wrk.command(f"{process.url}{path}", seconds, CONNECTIONS), seconds)
        used = process.cpu_seconds() - used
        if load.failures:
            raise wrk.LoadError(f"{load.failures} failures")
        return {
            "rate": load.rate,
            "rate_cpu": load.requests / max(used, 1 / TICKS),
            "cores": used / load.seconds,
            "p99": load.p99 * 1000,
            "memory": process.memory() / 1e6,
        }


def can_import(python: str, module: str) -> bool:
    return not subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode


def summary(samples: list[Sample], metric: str, form: str) -> str:
    values = [one[metric] for one in samples]
    return f"{statistics.median(values):{form}} ({min(values):{form}} - {max(values):{form}})"


def print_samples(application: str, samples: dict[str, list[Sample]]) -> None:
    sys.stdout.write(f"\n{application}\n")
    for name, found in samples.items():
        sys.stdout.write(
            f"  {name:36} requests/s {summary(found, 'rate', '.0f')},"
            f" per CPU second {summary(found, 'rate_cpu', '.0f')}, cores {summary(found, 'cores', '.2f')},"
            f" p99 {summary(found, 'p99', '.2f')} ms, memory {summary(found, 'memory', '.1f')} MB\n"
        )
    for name in [name for name in samples if name != LOCKED]:
        pairs = list(zip(samples[name], samples[LOCKED], strict=True))
        for metric in ("rate", "rate_cpu", "memory"):
            ratios = [{"ratio": free[metric] / locked[metric]} for free, locked in pairs]
            sys.stdout.write(f"  {name}: {metric} {summary(ratios, 'ratio', '.2f')} times that of {LOCKED}\n")
    sys.stdout.flush()


def main() -> int:
    options = arguments()
    probe = subprocess.run([options.python, "-c", PROBE], capture_output=True, text=True, check=False).stdout.strip()
    if not probe.startswith("1 "):
        progress(f"bench.free_threading: --python {options.python}: not a free-threaded interpreter\n")
        return 2
    environ = {"BENCH_LOOPS": str(loops_per_millisecond()), "PYTHONDONTWRITEBYTECODE": ""}
    sys.stdout.write(f"{probe[2:]}; {len(CPUS)} CPUs, shared with the load\n")
    servers = [server(options.python, name) for name in (FREE, NO_MASTER, LOCKED)]
    for application in PATHS:
        if application == "django_json" and not can_import(options.python, "django"):
            sys.stdout.write("django_json: that interpreter has no Django\n")
            continue
        samples: dict[str, list[Sample]] = {one.name: [] for one in servers}
        for _ in range(options.rounds):
            for one in servers:
                samples[one.name].append(measure(one, application, environ, options.seconds))
                time.sleep(0.1)
        print_samples(application, samples)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (StartError, wrk.LoadError) as error:
        progress(f"bench.free_threading: {error}\n")
        sys.exit(1)
