"""One process without the GIL beside as many processes with it as there are processors, of the same interpreter.

    python -m bench.freethreaded --python PATH_OF_A_FREE_THREADED_PYTHON

Prints rate, requests per second of processor time (which is what a core gives, whatever else runs on the machine), p99
and memory (what processes share is counted once), as medians of interleaved rounds with their spread. The server
has all processors, and shares them with the load. Django is measured where that interpreter has it.

A worker has a master beside it, which takes memory and no time; a program that calls `ropewalk.serve` has none.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from bench import wrk
from bench.backends import APPLICATIONS as FOLDER
from bench.backends import Backend, Start
from bench.measure import Sample, loops_in_a_millisecond
from bench.running import PROCESSORS, TICKS, StartError, free_address, running

WARM_SECONDS = 1.0
CONNECTIONS = 32
THREADS = 8
APPLICATIONS = {"hello": "/hello", "computes": "/hello", "django_json": "/greeting", "large": "/hello"}

FREE, LOCKED = "one worker without the GIL", f"{len(PROCESSORS)} workers with the GIL"
ALONE = "the one without a master"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.freethreaded", description="One process without the GIL.")
    parser.add_argument("--python", default=sys.executable, help="a free-threaded interpreter, 3.13 or later")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    return parser.parse_args()


def backend(python: str, name: str) -> Backend:
    is_free = name != LOCKED

    def command(start: Start) -> list[str]:
        words = [python, "-X", f"gil={0 if is_free else 1}"]
        if name == ALONE:
            return [*words, str(FOLDER / "run_alone.py"), start.application, start.bind, str(start.threads)]
        words += ["-m", "ropewalk", f"{start.application}:application"]
        words += ["--bind", start.bind, "--threads", str(start.threads), "--log-level", "warning"]
        return [*words, "--workers", "1" if is_free else str(len(PROCESSORS))]

    return Backend(name, "", command)


def sample(server_backend: Backend, application: str, environ: dict[str, str], seconds: float) -> Sample:
    start = Start(application, free_address(), threads=THREADS)
    path = APPLICATIONS[application]
    with running(server_backend, start, environ, path, set(PROCESSORS)) as server:
        words = [wrk.command(f"{server.url}{path}", length, CONNECTIONS) for length in (WARM_SECONDS, seconds)]
        wrk.load(words[0], WARM_SECONDS)
        used = server.cpu_seconds()
        load = wrk.load(words[1], seconds)
        used = server.cpu_seconds() - used
        if load.failures:
            raise wrk.LoadError(f"{load.failures} failures")
        return {
            "rate": load.rate,
            "rate_cpu": load.requests / max(used, 1 / TICKS),
            "cores": used / load.seconds,
            "p99": load.p99 * 1000,
            "memory": server.memory() / 1e6,
        }


def can_import(python: str, module: str) -> bool:
    return not subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode


def told(samples: list[Sample], metric: str, form: str) -> str:
    values = [one[metric] for one in samples]
    return f"{statistics.median(values):{form}} ({min(values):{form}} - {max(values):{form}})"


def main() -> int:
    options = arguments()
    asked = [
        options.python,
        "-c",
        "import sys, sysconfig; print(sysconfig.get_config_var('Py_GIL_DISABLED'), sys.version)",
    ]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    if not answer.startswith("1 "):
        sys.stderr.write(f"bench.freethreaded: --python {options.python}: not a free-threaded interpreter\n")
        return 2
    environ = {"BENCH_LOOPS": str(loops_in_a_millisecond()), "PYTHONDONTWRITEBYTECODE": ""}
    sys.stdout.write(f"{answer[2:]}; {len(PROCESSORS)} processors, shared with the load\n")
    backends = [backend(options.python, name) for name in (FREE, ALONE, LOCKED)]
    for application in APPLICATIONS:
        if application == "django_json" and not can_import(options.python, "django"):
            sys.stdout.write("django_json: that interpreter has no Django\n")
            continue
        samples: dict[str, list[Sample]] = {one.name: [] for one in backends}
        for _ in range(options.rounds):
            for one in backends:
                samples[one.name].append(sample(one, application, environ, options.seconds))
                time.sleep(0.1)
        tell(application, samples)
    return 0


def tell(application: str, samples: dict[str, list[Sample]]) -> None:
    sys.stdout.write(f"\n{application}\n")
    for name, found in samples.items():
        sys.stdout.write(
            f"  {name:32} req/s {told(found, 'rate', '.0f')}, per CPU second {told(found, 'rate_cpu', '.0f')},"
            f" cores {told(found, 'cores', '.2f')}, p99 {told(found, 'p99', '.2f')} ms,"
            f" memory {told(found, 'memory', '.1f')} MB\n"
        )
    for name in [name for name in samples if name != LOCKED]:
        pairs = list(zip(samples[name], samples[LOCKED], strict=True))
        for metric in ("rate", "rate_cpu", "memory"):
            ratios = [{"ratio": free[metric] / locked[metric]} for free, locked in pairs]
            sys.stdout.write(f"  {name}: {metric} {told(ratios, 'ratio', '.2f')} times that of the {LOCKED}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (StartError, wrk.LoadError) as error:
        sys.stderr.write(f"bench.freethreaded: {error}\n")
        sys.exit(1)
