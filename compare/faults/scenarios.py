"""What goes wrong, one thing at a time."""

from __future__ import annotations

import random
import signal
import threading
import time

from faults.client import Client, Request
from faults.load import Crowd
from faults.outcomes import Death, Outcome
from faults.processes import (
    client_ports,
    in_memory_cgroup,
    is_alive,
    limit_forks,
    limit_memory,
    memory_cgroup,
    missing_for_forks,
    wait_for,
)
from faults.servers import GRACEFUL_SECONDS, Start
from faults.stage import Scenario, Stage

MIB = 1024 * 1024
HOUR = 3600.0

ABORTED, REFUSED, UNREACHED = Outcome.ABORTED, Outcome.REFUSED, Outcome.UNREACHED


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
    stage.pause(1)
    run = stage.run
    old = run.master
    run.signal(signal.SIGUSR2)
    if not wait_for(lambda: len(run.new_masters_workers()) >= run.start.workers):
        stage.faults.append("no new master with its workers came")
        return
    stage.pause(1)
    run.follow_upgrade()
    run.signal_to(old, signal.SIGTERM)
    stage.expect(wait_for(lambda: not is_alive(old)), "the old master stayed")
    stage.pause(2)


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


SCENARIOS = [
    Scenario("nothing", "nothing goes wrong", "The load alone, for comparison.", nothing),
    Scenario("reload", "20 reloads", "HUP every 0.3 s. Every request is answered.", reload),
    Scenario(
        "deploy",
        "a deploy of broken code",
        "The application cannot be imported any more, HUP; three seconds later it is mended, HUP. The workers from "
        "before serve on.",
        deploy_broken_code,
    ),
    Scenario(
        "upgrade",
        "an upgrade",
        "USR2, and when the new master's workers are there, TERM to the old one. Every request is answered.",
        upgrade,
        needs_upgrade=True,
    ),
    Scenario(
        "scale",
        "workers more and less",
        "Three times TTIN, three times TTOU, all that three times. Every request is answered.",
        scale,
    ),
    Scenario(
        "stop",
        "a graceful stop",
        "TERM while 12 requests run and 60 more, half of them on connections that are kept, wait in the backlog. All "
        "are answered; the exit status is 0.",
        stop,
        crowd=Crowd(0, 0),
    ),
    Scenario(
        "stop-load",
        "a graceful stop under load",
        "TERM while the load goes on: until it is refused, every request that was accepted is answered.",
        stop_under_load,
        crowd=Crowd(leaves=True),
        allowed=frozenset({UNREACHED}),
    ),
    Scenario(
        "kill",
        "workers killed",
        "`kill -9` to six workers, one after another. Only what a killed worker held is aborted.",
        kill_workers,
        allowed=frozenset({ABORTED}),
    ),
    Scenario(
        "log-full",
        "the disk of the logs is full",
        "Both logs are `/dev/full`: every line fails with ENOSPC. Every request is answered.",
        nothing,
        start=Start(access_log="/dev/full", error_log="/dev/full"),
    ),
    Scenario(
        "log-gone",
        "the reader of the logs goes",
        "Both logs go to a pipe, whose reader ends. Every request is answered.",
        lose_reader_of_logs,
        start=Start(access_log="-", error_log="-"),
    ),
    Scenario(
        "descriptors",
        "no descriptors left",
        "64 descriptors for each process; 200 clients beside the load keep their connections for a second after each "
        "answer. Who finds no room waits, or is refused with an answer.",
        exhaust_descriptors,
        start=Start(descriptors=64),
        allowed=frozenset({REFUSED}),
        allowed_special=frozenset({REFUSED}),
    ),
    Scenario(
        "fork",
        "no fork",
        "The master's `fork` fails (RLIMIT_NPROC) while two of three workers are killed; 2.5 s later it works again. "
        "The third serves alone, and then there are three.",
        fail_forks,
        start=Start(is_nobody=True),
        allowed=frozenset({ABORTED}),
        missing=missing_for_forks,
    ),
    Scenario(
        "memory",
        "no memory left in a worker",
        "One worker has 40 MiB of address space left (RLIMIT_AS) and gets requests that take everything, which fail "
        "with a 500. So may others of that worker; none is dropped.",
        exhaust_memory,
        allowed=frozenset({REFUSED}),
        allowed_special=frozenset({REFUSED}),
    ),
    Scenario(
        "oom",
        "a worker killed for its memory",
        "A request takes more than the memory cgroup of its worker has, and the kernel kills it. Only what it held is "
        "aborted.",
        be_killed_for_memory,
        allowed=frozenset({ABORTED}),
        allowed_special=frozenset({ABORTED}),
        missing=lambda: "" if memory_cgroup() else "no memory cgroup can be made here",
    ),
    Scenario(
        "suspend",
        "a worker suspended",
        "SIGSTOP, and three seconds later SIGCONT. What it held waits; the others serve. Every request is answered.",
        suspend_worker,
    ),
    Scenario(
        "suspend-ever",
        "a worker suspended for ever",
        "SIGSTOP, with `--timeout 2`. It is killed and replaced; only what it held is aborted.",
        suspend_for_ever,
        start=Start(timeout=2),
        allowed=frozenset({ABORTED}),
    ),
    Scenario(
        "clock",
        "the clock moves",
        "The wall clock of the server and the application jumps an hour ahead, two back, a day ahead, and back. Every "
        "request is answered.",
        move_clock,
        start=Start(has_movable_clock=True),
    ),
    Scenario(
        "stuck",
        "requests that never return",
        "Two requests hold their threads for ever, with `--timeout 2`. They end with a 504; all others are answered.",
        get_stuck,
        start=Start(timeout=2),
        allowed_special=frozenset({REFUSED}),
    ),
]
