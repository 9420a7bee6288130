"""Faults of resources: descriptors, forks, memory, logs, the clock."""

from __future__ import annotations

import threading
import time

from faults.run.client import Client, Request
from faults.run.limits import in_memory_cgroup, limit_forks, limit_memory
from faults.run.outcomes import WorkerDeath
from faults.run.processes import client_ports, is_alive
from faults.run.scenario import ScenarioRun

MIB = 1024 * 1024
HOUR = 3600.0
HOLDERS = 200  # clients that keep a connection


def close_log_reader(run: ScenarioRun) -> None:
    run.pause(1)
    run.server.close_output()
    run.pause(3)


def exhaust_descriptors(run: ScenarioRun) -> None:
    """Open far more connections than there are descriptors, and keep each for a second after its response."""
    is_over = threading.Event()

    def hold(number: int) -> None:
        while not is_over.is_set():
            client = Client(run.server.address, f"holder{number}", keeps_alive=True)
            run.probes.append(client.request(Request(), is_probe=True))
            is_over.wait(1.0)
            client.close()

    holders = [threading.Thread(target=hold, args=(number,)) for number in range(HOLDERS)]
    for holder in holders:
        holder.start()
    run.pause(4)
    is_over.set()
    for holder in holders:
        holder.join()


def fail_forks(run: ScenarioRun) -> None:
    run.pause(0.5)
    limit_forks(run.server.master, True)
    workers = run.server.workers()
    run.kill(workers[0])
    run.pause(1)
    run.kill(workers[1])
    run.pause(1.5)
    run.expect(set(run.server.workers()) <= set(workers[2:]), "a worker was forked although that was forbidden")
    if run.server.is_running():
        limit_forks(run.server.master, False)
    run.pause(2)


def exhaust_memory(run: ScenarioRun) -> None:
    """Leave a worker 40 MiB, and send it requests that take all of it."""
    run.pause(0.5)
    worker = run.server.workers()[0]
    limit_memory(worker, 40 * MIB)
    for _ in run.times(3):
        client = run.server.client_of(worker, "hungry")
        if client is None:
            break
        run.probe(Request("/hungry", milliseconds=300), client=client)
        run.pause(0.7)


def exceed_memory_cgroup(run: ScenarioRun) -> None:
    """Have the kernel kill a worker whose request takes more memory than its cgroup allows."""
    run.pause(0.5)
    worker = run.server.workers()[0]
    client = run.server.client_of(worker, "hungry")
    if client is None:
        run.failures.append("no connection to the worker")
        return
    began = time.monotonic()
    seen = set(client_ports(worker, run.server.port))
    with in_memory_cgroup(worker, 64 * MIB):
        probe = threading.Thread(target=run.probe, args=(Request("/hungry"),), kwargs={"client": client})
        probe.start()
        while is_alive(worker) and probe.is_alive():
            seen |= client_ports(worker, run.server.port)
        ended = time.monotonic()
        probe.join()
    run.expect(not is_alive(worker), "the kernel did not kill it")
    run.deaths.append(WorkerDeath(worker, frozenset(seen), began, ended))
    run.pause(3)


def move_clock(run: ScenarioRun) -> None:
    for seconds in (HOUR, -HOUR, 24 * HOUR, 0.0):
        run.pause(1)
        run.server.move_clock(seconds)
    run.pause(1)
