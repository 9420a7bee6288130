"""Faults and operations of a deployment: reloads, upgrades, scaling, stops. The baseline without a fault, too."""

from __future__ import annotations

import signal

from faults.run.client import Client, Request
from faults.run.processes import is_alive, wait_for
from faults.run.scenario import ScenarioRun
from faults.run.servers import GRACEFUL_TIMEOUT

BROKEN_CODE = "import no_such_module\n"
WAITING = 60  # requests in the backlog at a stop


def no_fault(run: ScenarioRun) -> None:
    run.pause(4)


def reload(run: ScenarioRun) -> None:
    before = set(run.server.workers())
    for _ in run.times(20):
        run.server.signal(signal.SIGHUP)
        run.pause(0.3)
    run.expect(
        wait_for(lambda: not before & set(run.server.workers())), "workers from before the first reload still serve"
    )


def deploy_broken_code(run: ScenarioRun) -> None:
    code = run.server.folder / "target.py"
    working = code.read_text()
    run.pause(1)
    before = set(run.server.workers())
    code.write_text(BROKEN_CODE)
    run.server.signal(signal.SIGHUP)
    run.pause(3)
    code.write_text(working)
    run.server.signal(signal.SIGHUP)
    run.pause(2)
    run.expect(wait_for(lambda: not before & set(run.server.workers())), "the repaired code is not served")


def upgrade(run: ScenarioRun) -> None:
    server, old = run.server, run.server.master
    if not _start_new_master(run):
        return
    server.follow_upgrade()
    server.signal_to(old, signal.SIGTERM)
    run.expect(wait_for(lambda: not is_alive(old)), "the old master did not exit")
    run.pause(2)


def roll_back_upgrade(run: ScenarioRun) -> None:
    if not _start_new_master(run):
        return
    (new,) = run.server.new_masters()
    run.server.signal_to(new, signal.SIGTERM)
    run.expect(wait_for(lambda: not is_alive(new)), "the new master did not exit")
    run.pause(2)


def upgrade_to_broken_code(run: ScenarioRun) -> None:
    run.pause(1)
    (run.server.folder / "target.py").write_text(BROKEN_CODE)
    run.server.signal(signal.SIGUSR2)
    run.pause(3)
    run.expect(wait_for(lambda: not run.server.new_masters()), "the new master did not exit")


def _start_new_master(run: ScenarioRun) -> bool:
    run.pause(1)
    run.server.signal(signal.SIGUSR2)
    is_up = wait_for(lambda: len(run.server.new_masters_workers()) >= run.server.start.workers)
    run.expect(is_up, "no new master with its workers started")
    run.pause(1)
    return is_up


def scale(run: ScenarioRun) -> None:
    for _ in run.times(3):
        for number in (signal.SIGTTIN, signal.SIGTTIN, signal.SIGTTIN, signal.SIGTTOU, signal.SIGTTOU, signal.SIGTTOU):
            run.server.signal(number)
            run.pause(0.3)


def stop(run: ScenarioRun) -> None:
    """Send SIGTERM while some requests run and others are only in the kernel's backlog."""
    server = run.server
    threads = server.start.workers * server.start.threads
    running = [_send(run, number, Request(milliseconds=1000, content_bytes=3000)) for number in range(threads)]
    wait_for(lambda: len(server.journal()) >= threads)
    workers = server.workers()
    for worker in workers:  # a suspended worker accepts nothing
        run.suspend(worker)
    waiting = [
        _send(run, number, Request(milliseconds=50, size=20_000)) for number in range(threads, threads + WAITING)
    ]
    server.signal(signal.SIGTERM)
    for worker in workers:
        server.signal_to(worker, signal.SIGCONT)
    for client in filter(None, running + waiting):
        run.probes.append(client.receive())
        client.close()
    _expect_exit(run)


def _send(run: ScenarioRun, number: int, request: Request) -> Client | None:
    """A client that has sent a request, every second one on a keep-alive connection; None if it could not."""
    client = Client(run.server.address, f"waiting{number}", keeps_alive=number % 2 == 0)
    failed = client.send(request, is_probe=True)
    if failed is None:
        return client
    run.probes.append(failed)
    return None


def stop_under_load(run: ScenarioRun) -> None:
    run.pause(2)
    run.server.signal(signal.SIGTERM)
    run.expect(run.load.wait_left(GRACEFUL_TIMEOUT), "some clients were served without end")
    _expect_exit(run)


def _expect_exit(run: ScenarioRun) -> None:
    run.has_stopped = True
    run.expect(run.server.wait_exit(GRACEFUL_TIMEOUT + 3), "it did not exit in time")
    run.expect(run.server.status == 0, f"it exited with status {run.server.status}")
