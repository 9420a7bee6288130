"""Clients that hold what they opened: idle connections, and streams that they read slowly.

While they hold it, visitors on new connections must be served. The holders let go once each visitor has a response
or has given up: the order decides, not a time.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from faults.run.client import TIMEOUT, Client, Request, new_token
from faults.run.processes import is_alive, wait_for
from faults.run.scenario import ScenarioRun

MIB = 1024 * 1024
VISITORS = 10
IDLE = 300  # connections: more than three workers of 64 descriptors can hold
STREAM = 10 * MIB
SIP = 16 * 1024
QUIET_SECONDS = 4  # between two pieces of a stream: twice the `--timeout` of two seconds


def visit(run: ScenarioRun) -> None:
    """Send requests on new connections, all at once, and wait for their responses."""
    visitors = [threading.Thread(target=run.probe, args=(Request(),)) for _ in range(VISITORS)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()


def hold_idle_connections(run: ScenarioRun) -> None:
    """Keep more connections open after a response than the server has descriptors, while others come."""
    with ExitStack() as stack:
        opened = [socket.create_connection(run.server.address, TIMEOUT) for _ in range(IDLE)]
        for sock in opened:
            stack.callback(sock.close)
            with suppress(OSError):
                sock.sendall(Request().encode(new_token("idle"), is_last=False))
        run.pause(1)
        visit(run)


def read_streams_slowly(run: ScenarioRun) -> None:
    """On one worker, read a stream slowly and leave another one quiet, for longer than `--timeout`.

    The worker's other requests go on: it is not replaced.
    """
    run.pause(0.5)
    worker = run.server.workers()[0]
    slow, quiet = (run.server.client_of(worker, name, receive_buffer=65536) for name in ("slow", "quiet"))
    if slow is None or quiet is None:
        run.failures.append("no connection to the worker")
        return
    pieces = [Request("/pieces", size=STREAM), Request("/pieces", milliseconds=10_000 * QUIET_SECONDS, size=1000)]
    for client, request in zip((slow, quiet), pieces, strict=True):
        failed = client.send(request, is_probe=True)
        run.expect(failed is None, "a request for a stream could not be sent")
        if failed is not None:
            return
    came = wait_for(lambda: quiet.sip(SIP))
    run.expect(came, "the quiet stream did not begin")
    began = quiet.sip(SIP)
    with _sipping([slow]):
        run.expect(wait_for(lambda: quiet.sip(SIP) > began), "the quiet stream ended in its silence")
        visit(run)
    run.expect(is_alive(worker), "the worker was replaced because of a stream")
    run.probes.append(slow.receive())
    slow.close()
    quiet.close()


@contextmanager
def _sipping(readers: list[Client]) -> Iterator[None]:
    """Have all these clients take a little of their responses, again and again."""
    is_over = threading.Event()

    def sip() -> None:
        while not is_over.wait(0.1):
            for reader in readers:
                reader.sip(SIP)

    thread = threading.Thread(target=sip, name="sipping")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
