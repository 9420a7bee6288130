"""Clients that hold what they opened: idle connections, and responses that they read slowly.

While they hold it, visitors on new connections must be served. The holders let go once each visitor has a response
or has given up: the order decides, not a time.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from faults.injections.streams import LAST_CHUNK
from faults.run.client import TIMEOUT, Client, Request, new_token
from faults.run.processes import is_alive, resident_bytes, wait_for
from faults.run.scenario import ScenarioRun

MIB = 1024 * 1024
VISITORS = 10
IDLE = 300  # connections: more than three workers of 64 descriptors can hold
PIECES = 10  # of each stream
STREAM = 120 * MIB  # more than a server buffers, so that its thread has to wait for the client
SIP = 64 * 1024
SIP_SECONDS = 0.05
QUIET_SECONDS = 9  # between two pieces: time for a worker to be replaced, and for its neighbours to be cut
NEIGHBOURS = 2
READERS = 150
RESPONSE = 5 * MIB
MAX_GROWTH = 384 * MIB  # of all workers: half of what the responses are together
BEGIN_SECONDS = 5.0  # for the application to run for each reader, where the server has threads for them
WHOLE = 5  # readers that take all of their responses in the end
READER_SIP = 16 * 1024


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

    The worker's other requests go on, which the grace period would end if it was replaced.
    """
    run.pause(0.5)
    worker = run.server.workers()[0]
    names = ("slow", "quiet", *("neighbour",) * NEIGHBOURS)
    found = [run.server.client_of(worker, name, receive_buffer=65536) for name in names]
    clients = [client for client in found if client is not None]
    requests = [
        Request("/stream", size=STREAM // PIECES),
        Request("/pieces", milliseconds=1000 * QUIET_SECONDS * PIECES, size=1000),
        *[Request("/pieces", milliseconds=1000 * PIECES, size=1000)] * NEIGHBOURS,
    ]
    if len(clients) < len(requests) or any(
        client.send(request, is_probe=True) for client, request in zip(clients, requests, strict=True)
    ):
        run.failures.append("the streams could not be opened")
        return
    slow, quiet, *neighbours = clients
    run.expect(wait_for(lambda: quiet.sip(SIP)), "the quiet stream did not begin")
    began = quiet.sip(SIP)
    with _reading_slowly(slow.detach()) as slow_reader:
        run.expect(wait_for(lambda: quiet.sip(SIP) > began), "the quiet stream ended in its silence")
        visit(run)
        run.probes += [neighbour.receive() for neighbour in neighbours]
    run.expect(slow_reader.is_whole(), "the stream that is read slowly was cut")
    run.expect(is_alive(worker), "the worker was replaced because of a stream")
    for client in (quiet, *neighbours):
        client.close()


class _SlowReader:
    """Takes a little of a response again and again, and forgets it: the end is all that matters."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._end = b""
        self._is_over = False

    def take(self, size: int) -> bool:
        """Take at most that much; return whether there may be more."""
        try:
            data = self._sock.recv(size)
        except OSError:
            data = b""
        self._end = (self._end + data)[-len(LAST_CHUNK) :]
        self._is_over = not data or self._end == LAST_CHUNK
        return not self._is_over

    def is_whole(self) -> bool:
        """Take the rest, as fast as it comes; return whether the response is complete."""
        with self._sock:
            self._sock.settimeout(TIMEOUT)
            while not self._is_over and self.take(MIB):
                pass
        return self._end == LAST_CHUNK


def read_responses_slowly(run: ScenarioRun) -> None:
    """Have many clients take a large response slowly, while others come; then let some of them take the rest."""
    run.pause(0.5)
    before = _resident(run)
    seen = len(run.server.journal())
    readers = [
        Client(run.server.address, "reader", keeps_alive=False, receive_buffer=65536) for _ in run.times(READERS)
    ]
    with ExitStack() as stack:
        for reader in readers:
            stack.callback(reader.close)
            failed = reader.send(Request(size=RESPONSE), is_probe=True)
            if failed is not None:
                run.probes.append(failed)
                return
        with _sipping(readers):
            wait_for(lambda: len(run.server.journal()) >= seen + len(readers), BEGIN_SECONDS)
            visit(run)
            run.pause(2)
            growth = _resident(run) - before
            run.expect(growth <= MAX_GROWTH, f"the workers grew by {growth // MIB} MiB")
        for reader in readers[WHOLE:]:
            reader.close()
        takers = [threading.Thread(target=lambda one=one: run.probes.append(one.receive())) for one in readers[:WHOLE]]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()


def _resident(run: ScenarioRun) -> int:
    """Bytes of memory of all workers."""
    return sum(resident_bytes(worker) for worker in run.server.workers())


@contextmanager
def _sipping(readers: list[Client]) -> Iterator[None]:
    """Have all these clients take a little of their responses, again and again."""
    is_over = threading.Event()

    def sip() -> None:
        while not is_over.wait(0.1):
            for reader in readers:
                reader.sip(READER_SIP)

    thread = threading.Thread(target=sip, name="sipping")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@contextmanager
def _reading_slowly(sock: socket.socket) -> Iterator[_SlowReader]:
    """Have a thread read from the socket for as long as the context lasts."""
    reader, is_over = _SlowReader(sock), threading.Event()

    def read() -> None:
        while not is_over.wait(SIP_SECONDS) and reader.take(SIP):
            pass

    thread = threading.Thread(target=read, name="reading-slowly")
    thread.start()
    try:
        yield reader
    finally:
        is_over.set()
        thread.join()
