"""Faults of workers: killed, suspended, blocked."""

from __future__ import annotations

import random
import signal
import threading
import time

from faults.run.client import Request
from faults.run.outcomes import WorkerDeath
from faults.run.processes import client_ports, is_alive, wait_for
from faults.run.scenario import ScenarioRun


def kill_workers(run: ScenarioRun) -> None:
    choose = random.Random(4)
    for _ in run.times(6):
        run.pause(0.7)
        workers = run.server.workers()
        if workers:
            run.kill(choose.choice(workers))
    run.pause(1.5)


def suspend_worker(run: ScenarioRun) -> None:
    run.pause(0.5)
    worker = run.server.workers()[0]
    run.suspend(worker)
    run.pause(3)
    run.server.signal_to(worker, signal.SIGCONT)
    run.pause(1.5)


def suspend_worker_forever(run: ScenarioRun) -> None:
    """Needs a timeout of two seconds."""
    run.pause(0.5)
    worker = run.server.workers()[0]
    run.deaths.append(run.suspend(worker))
    run.expect(wait_for(lambda: not is_alive(worker)), "the suspended worker was not replaced")
    run.pause(1.5)


def suspend_all(run: ScenarioRun) -> None:
    """Suspend all processes at once, for twice the timeout of two seconds."""
    run.pause(1)
    run.server.signal_all(signal.SIGSTOP)
    time.sleep(4)
    run.server.signal_all(signal.SIGCONT)
    run.pause(3)


def block_threads(run: ScenarioRun) -> None:
    """Send two requests that never return. Needs a timeout of two seconds."""
    run.pause(0.5)
    probes = [threading.Thread(target=run.probe, args=(Request("/stuck"),)) for _ in range(2)]
    for thread in probes:
        thread.start()
    run.pause(4)
    for thread in probes:
        thread.join()


def hold_gil(run: ScenarioRun) -> None:
    """Send a request that lets no other thread of its worker run. Needs a timeout of two seconds."""
    run.pause(0.5)
    worker = run.server.workers()[0]
    client = run.server.client_of(worker, "holder")
    if client is None:
        run.failures.append("no connection to the worker")
        return
    probe = threading.Thread(target=run.probe, args=(Request("/gil"),), kwargs={"client": client})
    began = time.monotonic()
    probe.start()
    run.pause(1)  # until it does nothing else: from then on its connections are those that it keeps
    ports = client_ports(worker, run.server.port)
    run.expect(wait_for(lambda: not is_alive(worker)), "the worker that held the GIL was not replaced")
    run.deaths.append(WorkerDeath(worker, ports, began))
    probe.join()
    run.pause(1.5)
