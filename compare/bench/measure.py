"""One sample of a scenario: a server is started, checked, warmed up, loaded and stopped."""

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

from bench.files import LARGE_FILE, make_files
from bench.kit_nginx import kit_nginx
from bench.loads import wrk
from bench.nginx import nginx
from bench.paths import APPLICATIONS, COMPARE
from bench.scenarios import Kind, Route, Scenario
from bench.server_process import (
    CPUS,
    LOAD_CPUS,
    SERVER_CPUS,
    TICKS,
    ServerProcess,
    WrongResponseError,
    free_address,
    pinned,
    running,
)
from bench.servers import SERVERS, Server, Start
from bench.verify import check, response_content

WARM_UP_SECONDS = 0.5
THREADS = 8
MANY_THREADS = 64
REST_SECONDS = 0.3  # before memory is measured
SPREAD_REQUESTS = 10_000
PROGRAM_TIMEOUT = 60.0
PHASE_SECONDS = 1.5  # of each phase of the changing load
DELAY_BATCHES = 6
CALIBRATION_LOOPS = 20_000
Sample = dict[str, float]


@dataclass(frozen=True, slots=True)
class Settings:
    """What all samples of a run have in common."""

    seconds: float  # of load in one sample
    environ: dict[str, str]
    folder: str = ""  # of the files that the applications read


@contextmanager
def prepared(seconds: float) -> Iterator[Settings]:
    """Prepare what the applications need: files, and the number of loops that take a millisecond.

    Also compile the sources that are not installed, as pip compiles the others: a server that may not write bytecode
    would otherwise be compiled at each start.
    """
    for source in {server.source for server in SERVERS.values()} | {APPLICATIONS}:
        compileall.compile_dir(source, quiet=2)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        make_files(Path(folder))
        environ = {"BENCH_FOLDER": folder, "BENCH_FILE": f"{folder}/{LARGE_FILE}"}
        yield Settings(seconds, environ | {"BENCH_LOOPS": str(loops_per_millisecond())}, folder)


def loops_per_millisecond() -> int:
    os.environ.setdefault("BENCH_LOOPS", "1")
    from bench.applications.computes import compute  # reads the variable

    times = []
    for _ in range(20):
        began = time.thread_time()
        compute(CALIBRATION_LOOPS)
        times.append(time.thread_time() - began)
    return int(CALIBRATION_LOOPS * 0.001 / min(times))


def measure(scenario: Scenario, server: Server, settings: Settings) -> Sample:
    """Raises `StartError` or `wrk.LoadError`."""
    if scenario.kind is Kind.START:
        return _measure_start(scenario, server, settings)
    if scenario.kind in PROGRAMS:
        return _measure_by_program(scenario, server, settings)
    found: Sample = {}
    if scenario.kind is Kind.LOGGED:
        with _checked(scenario, server, settings) as (process, address):
            found["rate_baseline"] = _measure_closed(scenario, process, address, settings.seconds)["rate"]
    threads = MANY_THREADS if scenario.kind is Kind.THREADS else THREADS
    if scenario.kind is Kind.THREADS:
        with _checked(scenario, server, settings, threads=1) as (process, address):
            found["p99_one_thread"] = _measure_closed(scenario, process, address, settings.seconds)["p99"]
    logs = scenario.kind is Kind.LOGGED
    cpus = SERVER_CPUS if scenario.workers == 1 else set(CPUS)
    with _checked(scenario, server, settings, logs=logs, threads=threads, cpus=cpus) as (process, address):
        if scenario.kind is Kind.OPEN:
            return _measure_open(scenario, process, address, settings.seconds)
        if scenario.kind in (Kind.IDLE, Kind.SLOW):
            return _measure_with_background(scenario, process, address, settings.seconds)
        return found | _measure_closed(scenario, process, address, settings.seconds)


@contextmanager
def _checked(
    scenario: Scenario,
    server: Server,
    settings: Settings,
    *,
    logs: bool = False,
    threads: int = THREADS,
    cpus: set[int] = SERVER_CPUS,
) -> Iterator[tuple[ServerProcess, str]]:
    """A running server that responds correctly, and the address to load."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        bind = f"unix:{folder}/bench.sock" if scenario.route is Route.NGINX_UNIX else free_address()
        access_log = f"{folder}/access.log" if logs or scenario.route is Route.KIT else ""
        start = Start(
            scenario.application,
            bind,
            threads,
            access_log,
            scenario.workers,
            settings.folder,
            scenario.is_tls,
            scenario.is_static,
        )
        process = stack.enter_context(running(server, start, settings.environ, scenario.path, cpus))
        address = stack.enter_context(_front(scenario.route, bind))
        _raise_unless_correct(scenario, address, start)
        yield process, address


@contextmanager
def _front(route: Route, bind: str) -> Iterator[str]:
    """The address to load, with nginx there if the route has one."""
    if route is Route.DIRECT:
        yield bind
    elif route is Route.KIT:
        with kit_nginx(bind) as process:
            yield process.bind
    else:
        with nginx(bind) as address:
            yield address


def _raise_unless_correct(scenario: Scenario, address: str, start: Start) -> None:
    fault = check(scenario, address, start.tls_files[:1])
    if fault:
        raise WrongResponseError(f"wrong response: {fault}")


def _wrk_words(scenario: Scenario, address: str, seconds: float) -> list[str]:
    return wrk.command(
        f"{'https' if scenario.is_tls else 'http'}://{address}{scenario.path}",
        seconds,
        scenario.connections,
        method="POST" if scenario.content_bytes else "GET",
        keeps_alive=scenario.keeps_alive,
        content_bytes=scenario.content_bytes,
        has_browser_fields=scenario.has_browser_fields,
        pipelined=scenario.pipelined,
    )


def _measure_closed(scenario: Scenario, process: ServerProcess, address: str, seconds: float) -> Sample:
    seconds = max(seconds, scenario.least_seconds)
    words = _wrk_words(scenario, address, seconds)
    wrk.warm_up(words, WARM_UP_SECONDS)
    load_busy, server_busy, used = _busy_seconds(LOAD_CPUS), _busy_seconds(SERVER_CPUS), process.cpu_seconds()
    load = wrk.load(words, seconds)
    used, server_busy = process.cpu_seconds() - used, _busy_seconds(SERVER_CPUS) - server_busy
    load_busy = _busy_seconds(LOAD_CPUS) - load_busy
    if not load.requests:
        raise wrk.LoadError(f"no successful response; {load.failures} failures")
    length = len(response_content(scenario))
    alone = {  # how busy each CPU was, if the server has one and the load the other
        "others": max(0.0, server_busy - used) / load.seconds / len(SERVER_CPUS),
        "server_busy": used / load.seconds / len(SERVER_CPUS),
        "load_busy": load_busy / load.seconds / len(LOAD_CPUS),
    }
    return (alone if scenario.workers == 1 else {}) | {
        "rate": load.rate,
        "rate_cpu": load.requests / max(used, 1 / TICKS),
        "p50": load.p50,
        "p99": load.p99,
        "longest": load.longest,
        # wrk does not count truncated responses, but their bytes are missing.
        "failures": load.failures + (load.requests if load.received_bytes < load.requests * length else 0),
    }


def _busy_seconds(cpus: set[int]) -> float:
    """How long these CPUs have been busy so far with any process, to find out what others used and which was full."""
    total = 0
    wanted = {f"cpu{number}" for number in cpus}
    for line in Path("/proc/stat").read_text().splitlines():
        words = line.split()
        if words and words[0] in wanted:
            user, nice, system, _, _, _, _, steal = (int(word) for word in words[1:9])
            total += user + nice + system + steal
    return total / TICKS


def _measure_open(scenario: Scenario, process: ServerProcess, address: str, seconds: float) -> Sample:
    arguments: list[object] = [scenario.path, scenario.rate]
    used, found = 0.0, {}
    for duration in (WARM_UP_SECONDS, seconds + 1):
        used = process.cpu_seconds()
        found = _run_program("bench.loads.open_loop", address, [*arguments, duration, scenario.connections])
    used = process.cpu_seconds() - used
    requests, took = found.pop("requests"), found.pop("seconds")
    return found | {"rate": requests / took, "rate_cpu": requests / max(used, 1 / TICKS)}


def _measure_with_background(scenario: Scenario, process: ServerProcess, address: str, seconds: float) -> Sample:
    """The closed loop alone, and again with connections in the background."""
    baseline = _measure_closed(scenario, process, address, seconds)
    is_idle = scenario.kind is Kind.IDLE
    memory = process.resident()
    words = _program("bench.loads.background", address, ["idle" if is_idle else "slow", scenario.background])
    background = pinned(
        words if is_idle else [*words, "/megabyte"],
        LOAD_CPUS,
        cwd=COMPARE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert background.stdout is not None
        if background.stdout.readline().strip() != b"ready":
            raise wrk.LoadError("not all background connections could be opened")
        time.sleep(REST_SECONDS)
        connection_memory = (process.resident() - memory) / scenario.background
        found = _measure_closed(scenario, process, address, seconds)
        closed = int(background.communicate(b"", timeout=30)[0] or 0)
    finally:
        background.kill()
        background.wait()
    found["rate_baseline"] = baseline["rate"]
    found["failures"] += closed
    if is_idle:
        found["connection_memory"] = connection_memory
    return found


def _measure_start(scenario: Scenario, server: Server, settings: Settings) -> Sample:
    start = Start(scenario.application, free_address())
    with running(server, start, settings.environ, scenario.path) as process:
        time.sleep(REST_SECONDS)
        _raise_unless_correct(scenario, process.bind, start)
        memory = {"memory": float(process.memory()), "resident": float(process.resident())}
        return {"start": process.start_seconds} | memory


PROGRAMS: dict[Kind, Callable[[Scenario, ServerProcess], tuple[str, list[object]]]] = {
    Kind.SPREAD: lambda scenario, _: (
        "bench.loads.worker_spread",
        [scenario.connections, SPREAD_REQUESTS, scenario.workers],
    ),
    Kind.LOAD_CHANGE: lambda scenario, _: ("bench.loads.load_change", [scenario.connections, PHASE_SECONDS]),
    Kind.RESPONSE_DELAY: lambda _, process: ("bench.loads.response_delay", [DELAY_BATCHES, *process.processes()]),
}
"""The kinds that a program measures: its module and its arguments after the server's address. It prints JSON."""


def _measure_by_program(scenario: Scenario, server: Server, settings: Settings) -> Sample:
    cpus = SERVER_CPUS if scenario.workers == 1 else set(CPUS)
    with _checked(scenario, server, settings, cpus=cpus) as (process, address):
        module, arguments = PROGRAMS[scenario.kind](scenario, process)
        return _run_program(module, address, arguments)


def _program(module: str, address: str, arguments: list[object]) -> list[str]:
    return [sys.executable, "-m", module, address, *map(str, arguments)]


def _run_program(module: str, address: str, arguments: list[object]) -> Sample:
    """Run a load program on the load's CPU. Raises `wrk.LoadError`."""
    process = pinned(
        _program(module, address, arguments),
        LOAD_CPUS,
        cwd=COMPARE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        output, errors = process.communicate(timeout=PROGRAM_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise wrk.LoadError(f"{module} did not finish in time") from None
    finally:
        process.kill()
        process.communicate()
    if process.returncode:
        raise wrk.LoadError(errors.decode().strip().splitlines()[-1])
    found: Sample = json.loads(output)
    return found
