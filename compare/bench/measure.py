"""One sample: a server is started, found right, warmed, loaded, and ended."""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import wrk
from bench.backends import APPLICATIONS, BACKENDS, Backend, Start
from bench.proxy import nginx
from bench.running import (
    LOAD_PROCESSORS,
    PROCESSORS,
    SERVER_PROCESSORS,
    TICKS,
    Running,
    StartError,
    free_address,
    pinned,
    running,
)
from bench.scenarios import Kind, Scenario, Way
from bench.verify import FILE_MEBIBYTES, MEBIBYTE, fault, right_content

HERE = Path(__file__).parent
WARM_SECONDS = 1.0
THREADS = 8
MANY_THREADS = 64
SETTLE_SECONDS = 0.3  # before memory is looked at
SPREAD_REQUESTS = 10_000
SCRIPT_TIMEOUT = 60.0
PHASE_SECONDS = 1.5  # of each of the loads that follow one another
HELD_BATCHES = 6
Sample = dict[str, float]


@dataclass(frozen=True, slots=True)
class Terms:
    """What is the same for all samples of a run."""

    seconds: float  # of load in one sample
    environ: dict[str, str]


@contextmanager
def terms(seconds: float) -> Iterator[Terms]:
    """Prepare what the applications want: the file, and how many turns are a millisecond of computing.

    And compile what is not installed, as pip compiled the others: where bytecode may not be written, the server would
    be compiled anew at each start.
    """
    for folder in {backend.server for backend in BACKENDS.values()} | {APPLICATIONS}:
        compileall.compile_dir(folder, quiet=2)
    with tempfile.NamedTemporaryFile(prefix="bench-") as file:
        for _ in range(FILE_MEBIBYTES):
            file.write(MEBIBYTE)
        file.flush()
        yield Terms(seconds, {"BENCH_FILE": file.name, "BENCH_LOOPS": str(loops_in_a_millisecond())})


def loops_in_a_millisecond() -> int:
    os.environ.setdefault("BENCH_LOOPS", "1")
    from bench.applications.computes import compute

    took = []
    for _ in range(20):
        began = time.thread_time()
        compute(20_000)
        took.append(time.thread_time() - began)
    return int(20_000 * 0.001 / min(took))


def sample(scenario: Scenario, backend: Backend, run: Terms) -> Sample:
    """Raises `StartError` or `wrk.LoadError` with what went wrong."""
    if scenario.kind is Kind.START:
        return _start(scenario, backend, run)
    if scenario.kind in SCRIPTS:
        return _script(scenario, backend, run)
    found: Sample = {}
    if scenario.kind is Kind.LOGGED:
        with _served(scenario, backend, run) as (server, address):
            found["rate_without"] = closed(scenario, server, address, run.seconds)["rate"]
    threads = MANY_THREADS if scenario.kind is Kind.THREADS else THREADS
    if scenario.kind is Kind.THREADS:
        with _served(scenario, backend, run, threads=1) as (server, address):
            found["p99_of_one"] = closed(scenario, server, address, run.seconds)["p99"]
    with _served(scenario, backend, run, logs=scenario.kind is Kind.LOGGED, threads=threads) as (server, address):
        if scenario.kind is Kind.OPEN:
            return _open(scenario, server, address, run.seconds)
        if scenario.kind in (Kind.IDLE, Kind.SLOW):
            return _beside(scenario, server, address, run.seconds)
        return found | closed(scenario, server, address, run.seconds)


@contextmanager
def _served(
    scenario: Scenario,
    backend: Backend,
    run: Terms,
    *,
    logs: bool = False,
    threads: int = THREADS,
    processors: set[int] = SERVER_PROCESSORS,
) -> Iterator[tuple[Running, str]]:
    """A server that was found right, and the address to load."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        bind = f"unix:{folder}/bench.sock" if scenario.way is Way.NGINX_UNIX else free_address()
        access_log = f"{folder}/access.log" if logs else ""
        start = Start(scenario.application, bind, threads, access_log, scenario.workers)
        server = stack.enter_context(running(backend, start, run.environ, scenario.path, processors))
        address = bind if scenario.way is Way.DIRECT else stack.enter_context(nginx(bind))
        wrong = fault(scenario, address)
        if wrong:
            raise StartError(f"answers wrongly: {wrong}")
        yield server, address


def _wrk(scenario: Scenario, address: str, seconds: float) -> wrk.Load:
    words = wrk.command(
        f"http://{address}{scenario.path}",
        seconds,
        scenario.connections,
        method="POST" if scenario.content else "GET",
        keeps=scenario.keeps,
        content=scenario.content,
    )
    return wrk.load(words, seconds)


def closed(scenario: Scenario, server: Running, address: str, seconds: float) -> Sample:
    _wrk(scenario, address, WARM_SECONDS)
    loading, busy, used = _busy_seconds(LOAD_PROCESSORS), _busy_seconds(SERVER_PROCESSORS), server.cpu_seconds()
    load = _wrk(scenario, address, seconds)
    used, busy = server.cpu_seconds() - used, _busy_seconds(SERVER_PROCESSORS) - busy
    loading = _busy_seconds(LOAD_PROCESSORS) - loading
    if not load.requests:
        raise wrk.LoadError(f"no good answer; {load.failures} failures")
    length = len(right_content(scenario))
    return {
        "rate": load.rate,
        "rate_cpu": load.requests / max(used, 1 / TICKS),
        "p50": load.p50,
        "p99": load.p99,
        "longest": load.longest,
        # Cut answers are not told by their status: the octets tell.
        "failures": load.failures + (load.requests if load.octets < load.requests * length else 0),
        "others": max(0.0, busy - used) / load.seconds / len(SERVER_PROCESSORS),
        "server_busy": used / load.seconds / len(SERVER_PROCESSORS),
        "load_busy": loading / load.seconds / len(LOAD_PROCESSORS),
    }


def _busy_seconds(processors: set[int]) -> float:
    """What these processors worked so far, for anybody: to tell how much of them others took, and who was the limit."""
    total = 0
    wanted = {f"cpu{number}" for number in processors}
    for line in Path("/proc/stat").read_text().splitlines():
        words = line.split()
        if words and words[0] in wanted:
            user, nice, system, _, _, _, _, steal = (int(word) for word in words[1:9])
            total += user + nice + system + steal
    return total / TICKS


def _open(scenario: Scenario, server: Running, address: str, seconds: float) -> Sample:
    words = [sys.executable, str(HERE / "steady.py"), address, scenario.path, str(scenario.rate)]
    used = 0.0
    for duration in (WARM_SECONDS, seconds + 1):
        used = server.cpu_seconds()
        command = [*words, str(duration), str(scenario.connections)]
        process = pinned(command, LOAD_PROCESSORS, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        output, errors = process.communicate(timeout=60)
        if process.returncode:
            raise wrk.LoadError(errors.decode().strip().splitlines()[-1])
    used = server.cpu_seconds() - used
    told: Sample = json.loads(output)
    requests, took = told.pop("requests"), told.pop("seconds")
    return told | {"rate": requests / took, "rate_cpu": requests / max(used, 1 / TICKS)}


def _beside(scenario: Scenario, server: Running, address: str, seconds: float) -> Sample:
    """Load without the crowd, then beside it."""
    without = closed(scenario, server, address, seconds)
    is_idle = scenario.kind is Kind.IDLE
    memory = server.resident()
    words = [sys.executable, str(HERE / "crowd.py"), address, "idle" if is_idle else "slow", str(scenario.crowd)]
    crowd = pinned(
        words if is_idle else [*words, "/megabyte"], LOAD_PROCESSORS, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert crowd.stdout is not None
        if crowd.stdout.readline().strip() != b"ready":
            raise wrk.LoadError("not all of the crowd could connect")
        time.sleep(SETTLE_SECONDS)
        octets = (server.resident() - memory) / scenario.crowd
        found = closed(scenario, server, address, seconds)
        lost = int(crowd.communicate(b"", timeout=30)[0] or 0)
    finally:
        crowd.kill()
        crowd.wait()
    found["rate_without"] = without["rate"]
    found["failures"] += lost
    if is_idle:
        found["idle_octets"] = octets
    return found


def _start(scenario: Scenario, backend: Backend, run: Terms) -> Sample:
    start = Start(scenario.application, free_address())
    with running(backend, start, run.environ, scenario.path) as server:
        time.sleep(SETTLE_SECONDS)
        wrong = fault(scenario, server.bind)
        if wrong:
            raise StartError(f"answers wrongly: {wrong}")
        memory = {"memory": float(server.memory()), "resident": float(server.resident())}
        return {"start": server.seconds_to_answer} | memory


SCRIPTS: dict[Kind, Callable[[Scenario, Running], list[object]]] = {
    Kind.SPREAD: lambda scenario, _: ["bench.spread", scenario.connections, SPREAD_REQUESTS, scenario.workers],
    Kind.SETTLE: lambda scenario, _: ["bench.settle", scenario.connections, PHASE_SECONDS],
    Kind.HELD: lambda _, server: ["bench.held", HELD_BATCHES, *server.processes()],
}
"""What measures these kinds: a program that is given the address of the server first, and writes a sample as JSON."""


def _script(scenario: Scenario, backend: Backend, run: Terms) -> Sample:
    processors = SERVER_PROCESSORS if scenario.workers == 1 else set(PROCESSORS)
    with _served(scenario, backend, run, processors=processors) as (server, address):
        name, *words = map(str, SCRIPTS[scenario.kind](scenario, server))
        command = [sys.executable, "-m", name, address, *words]
        process = pinned(command, LOAD_PROCESSORS, cwd=HERE.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            output, errors = process.communicate(timeout=SCRIPT_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise wrk.LoadError(f"{name} did not end") from None
        finally:
            process.kill()
            process.communicate()
        if process.returncode:
            raise wrk.LoadError(errors.decode().strip().splitlines()[-1])
        told: Sample = json.loads(output)
        return told


def installed(names: tuple[str, ...], without: dict[str, str]) -> list[Backend]:
    return [BACKENDS[name] for name in names if name not in without]
