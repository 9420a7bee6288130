"""Faults of workers: killed, suspended, blocked."""

from __future__ import annotations

import random
import signal
import threading
import time

from faults.run.client import Request
from faults.run.outcomes import Attempt, End, WorkerDeath
from faults.run.processes import client_ports, is_alive, of_session, wait_for
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


def exit_in_fork(run: ScenarioRun) -> None:
    """Send requests whose application forks a child that ends with `sys.exit`."""
    for _ in run.times(10):
        run.probe(Request("/fork"))
    wanted = {run.server.master, *run.server.workers()}
    left = wait_for(lambda: set(of_session(run.server.master)) <= wanted, 2)
    run.expect(left, "a child that the application forked did not exit")
    run.pause(2)


def hang_while_reloading(run: ScenarioRun) -> None:
    """Send two requests that never return, and SIGHUP. Needs a timeout of two seconds."""
    run.pause(0.5)
    before = set(run.server.workers())
    probes = [threading.Thread(target=run.probe, args=(Request("/stuck"),)) for _ in range(2)]
    seen = len(run.server.journal())
    for thread in probes:
        thread.start()
    wait_for(lambda: len(run.server.journal()) > seen)
    run.pause(0.5)
    run.server.signal(signal.SIGHUP)
    for thread in probes:
        thread.join()
    run.expect(wait_for(lambda: not before & set(run.server.workers())), "workers from before the reload still serve")
    run.pause(1)


def interrupt_logging(run: ScenarioRun) -> None:
    """Interrupt requests that log all the time; then log from others. Needs a timeout of two seconds."""
    for _ in run.times(3):
        threads = [threading.Thread(target=run.probe, args=(Request("/logs", milliseconds=4000),)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    later = [run.probe(Request("/logs")) for _ in range(6)]
    bad = sum(attempt.end is not End.COMPLETE or not attempt.is_right for attempt in later)
    run.expect(not bad, f"{bad} of {len(later)} later requests that log failed")
    wait_for(lambda: not lost_lines(run, later), 2)  # the output is read by a thread
    lost = lost_lines(run, later)
    run.expect(not lost, f"{lost} later lines are not in the log")


def lost_lines(run: ScenarioRun, attempts: list[Attempt]) -> int:
    """How many of the hundred lines of each of these requests are not in the log."""
    log = run.server.log()
    return sum(f"{attempt.token} {number}." not in log for attempt in attempts for number in range(100))
