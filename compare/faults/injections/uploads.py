"""Clients that begin a large request body fast, and then send next to nothing: what a server holds of such bodies."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from faults.injections.slow_clients import visit
from faults.run.client import new_token
from faults.run.scenario import ScenarioRun
from faults.soak.footprint import measure

KIB = 1024
MIB = 1024 * KIB
UPLOADS = 120
BODY = 16 * MIB  # announced
BEGINNING = 3 * MIB  # sent at once: 360 MiB in all
TRICKLE = KIB  # more in a second than servers demand as a minimum rate
TRICKLE_SECONDS = 0.25
HOLD_SECONDS = 5  # for which they trickle before others come, and again after that
LIMIT = 32 * MIB  # for a worker
OPTIONS = ("--limit-request-body", "16MiB", "--limit-request-bodies", "32MiB")
ALLOWED_MIB = 48
"""Growth of all workers' memory beyond the bodies: buffers, threads, and what the load leaves behind."""


def leave_bodies_unfinished(run: ScenarioRun) -> None:
    """Begin more bodies than the server may hold, let them trickle, and send requests on new connections meanwhile."""
    run.pause(0.5)
    before = _held_mib(run.server.workers())
    with ExitStack() as stack:
        uploads = [stack.enter_context(socket.socket()) for _ in range(UPLOADS)]
        begin = [threading.Thread(target=_begin, args=(sock, run.server.address)) for sock in uploads]
        for thread in begin:
            thread.start()
        for thread in begin:
            thread.join()
        with _trickling(uploads):
            run.pause(HOLD_SECONDS)
            visit(run)
            held = _held_mib(run.server.workers()) - before
            run.pause(HOLD_SECONDS)
    most = run.server.start.workers * LIMIT // MIB + ALLOWED_MIB
    run.expect(held <= most, f"the workers held {held} MiB of unfinished bodies, more than {most}")


def _begin(sock: socket.socket, address: tuple[str, int]) -> None:
    """Send a head and the beginning of a body; a server may refuse it, or read none of it."""
    head = f"POST /work?token={new_token('upload')} HTTP/1.1\r\nHost: faults\r\nContent-Length: {BODY}\r\n\r\n"
    with suppress(OSError):
        sock.settimeout(2)
        sock.connect(address)
        sock.sendall(head.encode() + bytes(BEGINNING))
    sock.setblocking(False)


@contextmanager
def _trickling(uploads: Iterable[socket.socket]) -> Iterator[None]:
    """Have all of them send a little, again and again."""
    is_over = threading.Event()

    def trickle() -> None:
        while not is_over.wait(TRICKLE_SECONDS):
            for sock in uploads:
                with suppress(OSError):  # its buffer is full, or it was refused
                    sock.send(bytes(TRICKLE))

    thread = threading.Thread(target=trickle, name="trickling")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _held_mib(pids: Iterable[int]) -> int:
    """What these processes hold in memory and in temporary files."""
    pids = list(pids)
    return (measure(pids).resident_kib * KIB + sum(map(_spooled, pids))) // MIB


def _spooled(pid: int) -> int:
    """The bytes in open files of the process that have no name."""
    total = 0
    with suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{descriptor}"
            with suppress(OSError):
                if os.readlink(path).startswith("/") and os.readlink(path).endswith(" (deleted)"):
                    total += os.stat(path).st_size
    return total
