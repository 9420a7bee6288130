"""What goes wrong, one thing at a time: what is done to the server, and what is looked at besides the requests."""

from __future__ import annotations

import random
import signal
import threading
import time

from faults.client import Client, Request
from faults.outcomes import Death
from faults.processes import (
    client_ports,
    in_memory_cgroup,
    is_alive,
    limit_forks,
    limit_memory,
    wait_for,
)
from faults.servers import GRACEFUL_SECONDS
from faults.stage import Stage

MIB = 1024 * 1024
HOUR = 3600.0


def nothing(stage: Stage) -> None:
    stage.pause(4)


def reload(stage: Stage) -> None:
    before = set(stage.run.workers())
    for _ in stage.times(20):
        stage.run.signal(signal.SIGHUP)
        stage.pause(0.3)
    stage.expect(
        wait_for(lambda: not before & set(stage.run.workers())), "workers from before the first reload still serve"
    )


def deploy_broken_code(stage: Stage) -> None:
    code = stage.run.folder / "target.py"
    good = code.read_text()
    stage.pause(1)
    before = set(stage.run.workers())
    code.write_text("import gone_and_lost\n")
    stage.run.signal(signal.SIGHUP)
    stage.pause(3)
    code.write_text(good)
    stage.run.signal(signal.SIGHUP)
    stage.pause(2)
    stage.expect(wait_for(lambda: not before & set(stage.run.workers())), "the mended code is not served")


def upgrade(stage: Stage) -> None:
    run, old = stage.run, stage.run.master
    if not _start_new_master(stage):
        return
    run.follow_upgrade()
    run.signal_to(old, signal.SIGTERM)
    stage.expect(wait_for(lambda: not is_alive(old)), "the old master stayed")
    stage.pause(2)


def take_upgrade_back(stage: Stage) -> None:
    run = stage.run
    if not _start_new_master(stage):
        return
    (new,) = run.new_masters()
    run.signal_to(new, signal.SIGTERM)
    stage.expect(wait_for(lambda: not is_alive(new)), "the new master stayed")
    stage.pause(2)


def upgrade_to_broken_code(stage: Stage) -> None:
    stage.pause(1)
    (stage.run.folder / "target.py").write_text("import gone_and_lost\n")
    stage.run.signal(signal.SIGUSR2)
    stage.pause(3)
    stage.expect(wait_for(lambda: not stage.run.new_masters()), "the new master stayed")


def _start_new_master(stage: Stage) -> bool:
    stage.pause(1)
    stage.run.signal(signal.SIGUSR2)
    is_there = wait_for(lambda: len(stage.run.new_masters_workers()) >= stage.run.start.workers)
    stage.expect(is_there, "no new master with its workers came")
    stage.pause(1)
    return is_there


def scale(stage: Stage) -> None:
    for _ in stage.times(3):
        for number in (signal.SIGTTIN, signal.SIGTTIN, signal.SIGTTIN, signal.SIGTTOU, signal.SIGTTOU, signal.SIGTTOU):
            stage.run.signal(number)
            stage.pause(0.3)


def stop(stage: Stage) -> None:
    """TERM to requests that run, and to some that the kernel alone has seen."""
    run = stage.run
    threads = run.start.workers * run.start.threads
    running = [_sent(stage, number, Request(milliseconds=1000, content=3000)) for number in range(threads)]
    wait_for(lambda: len(run.journal()) >= threads)
    workers = run.workers()
    for worker in workers:  # while they stand still, nobody accepts
        stage.suspend(worker)
    waiting = [_sent(stage, number, Request(milliseconds=50, size=20_000)) for number in range(threads, threads + 60)]
    run.signal(signal.SIGTERM)
    for worker in workers:
        run.signal_to(worker, signal.SIGCONT)
    for client in filter(None, running + waiting):
        stage.special.append(client.receive())
        client.close()
    _expect_end(stage)


def _sent(stage: Stage, number: int, request: Request) -> Client | None:
    """A client that has sent a request, every second on a connection that is to be kept; None when it could not."""
    client = Client(stage.run.address, f"waiting{number}", keeps=number % 2 == 0)
    failed = client.send(request, is_special=True)
    if failed is None:
        return client
    stage.special.append(failed)
    return None


def stop_under_load(stage: Stage) -> None:
    stage.pause(2)
    stage.run.signal(signal.SIGTERM)
    stage.expect(stage.load.wait_left(GRACEFUL_SECONDS), "some clients were served for ever")
    _expect_end(stage)


def _expect_end(stage: Stage) -> None:
    stage.is_ended = True
    stage.expect(stage.run.wait_end(GRACEFUL_SECONDS + 3), "it did not end in time")
    stage.expect(stage.run.status == 0, f"it ended with status {stage.run.status}")


def kill_workers(stage: Stage) -> None:
    choose = random.Random(4)
    for _ in stage.times(6):
        stage.pause(0.7)
        workers = stage.run.workers()
        if workers:
            stage.kill(choose.choice(workers))
    stage.pause(1.5)


def lose_reader_of_logs(stage: Stage) -> None:
    stage.pause(1)
    stage.run.close_output()
    stage.pause(3)


def exhaust_descriptors(stage: Stage) -> None:
    """Far more connections than descriptors, each kept for a while after its answer."""
    is_over = threading.Event()

    def hold(number: int) -> None:
        while not is_over.is_set():
            client = Client(stage.run.address, f"holder{number}", keeps=True)
            stage.special.append(client.ask(Request(), is_special=True))
            is_over.wait(1.0)
            client.close()

    holders = [threading.Thread(target=hold, args=(number,)) for number in range(200)]
    for holder in holders:
        holder.start()
    stage.pause(4)
    is_over.set()
    for holder in holders:
        holder.join()


def fail_forks(stage: Stage) -> None:
    stage.pause(0.5)
    limit_forks(stage.run.master, True)
    workers = stage.run.workers()
    stage.kill(workers[0])
    stage.pause(1)
    stage.kill(workers[1])
    stage.pause(1.5)
    stage.expect(set(stage.run.workers()) <= set(workers[2:]), "a worker was forked, which was forbidden")
    if stage.run.is_running():
        limit_forks(stage.run.master, False)
    stage.pause(2)


def exhaust_memory(stage: Stage) -> None:
    """One worker has 40 MiB left, and requests that take all of it."""
    stage.pause(0.5)
    worker = stage.run.workers()[0]
    limit_memory(worker, 40 * MIB)
    for _ in stage.times(3):
        client = stage.run.client_at(worker, "hungry")
        if client is None:
            break
        stage.ask(Request("/hungry", milliseconds=300), client=client)
        stage.pause(0.7)


def be_killed_for_memory(stage: Stage) -> None:
    """The kernel kills a worker whose request takes more memory than its cgroup has."""
    stage.pause(0.5)
    worker = stage.run.workers()[0]
    client = stage.run.client_at(worker, "hungry")
    if client is None:
        stage.faults.append("a worker could not be reached")
        return
    began = time.monotonic()
    seen = set(client_ports(worker, stage.run.port))
    with in_memory_cgroup(worker, 64 * MIB):
        asking = threading.Thread(target=stage.ask, args=(Request("/hungry"),), kwargs={"client": client})
        asking.start()
        last: frozenset[int] = frozenset()
        while is_alive(worker) and asking.is_alive():
            last = client_ports(worker, stage.run.port) or last
            seen |= last
        ended = time.monotonic()
        asking.join()
    stage.expect(not is_alive(worker), "the kernel did not kill it")
    stage.deaths.append(Death(worker, frozenset(seen), began, ended))
    stage.pause(3)


def suspend_worker(stage: Stage) -> None:
    stage.pause(0.5)
    worker = stage.run.workers()[0]
    stage.suspend(worker)
    stage.pause(3)
    stage.run.signal_to(worker, signal.SIGCONT)
    stage.pause(1.5)


def suspend_for_ever(stage: Stage) -> None:
    """A worker that stands still for ever, with a timeout of two seconds."""
    stage.pause(0.5)
    worker = stage.run.workers()[0]
    stage.deaths.append(stage.suspend(worker))
    stage.expect(wait_for(lambda: not is_alive(worker)), "the worker that stood still was not replaced")
    stage.pause(1.5)


def freeze(stage: Stage) -> None:
    """All processes at once, for twice the timeout."""
    stage.pause(1)
    stage.run.signal_all(signal.SIGSTOP)
    time.sleep(4)
    stage.run.signal_all(signal.SIGCONT)
    stage.pause(3)


def move_clock(stage: Stage) -> None:
    for seconds in (HOUR, -HOUR, 24 * HOUR, 0.0):
        stage.pause(1)
        stage.run.move_clock(seconds)
    stage.pause(1)


def get_stuck(stage: Stage) -> None:
    """Two requests that never return, with a timeout of two seconds."""
    stage.pause(0.5)
    asking = [threading.Thread(target=stage.ask, args=(Request("/stuck"),)) for _ in range(2)]
    for thread in asking:
        thread.start()
    stage.pause(4)
    for thread in asking:
        thread.join()


def hold_interpreter(stage: Stage) -> None:
    """A request that lets no other thread of its worker run, with a timeout of two seconds."""
    stage.pause(0.5)
    worker = stage.run.workers()[0]
    client = stage.run.client_at(worker, "holding")
    if client is None:
        stage.faults.append("a worker could not be reached")
        return
    asking = threading.Thread(target=stage.ask, args=(Request("/gil"),), kwargs={"client": client})
    began = time.monotonic()
    asking.start()
    stage.pause(1)  # until it has stopped doing anything: from then on its connections are those that it keeps
    ports = client_ports(worker, stage.run.port)
    stage.expect(wait_for(lambda: not is_alive(worker)), "the worker that did nothing any more was not replaced")
    stage.deaths.append(Death(worker, ports, began))
    asking.join()
    stage.pause(1.5)
