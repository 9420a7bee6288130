"""The time of Ropewalk's own code per request, hop by hop, without the kernel: `python -m bench.profile.hops`.

One connection with a fake socket goes through receive, run and send in this thread; the best of several rounds counts.
Also counts the objects that a request leaves to the cyclic garbage collector. There should be none: each holds memory,
with the request's content, until the collector runs.
"""

from __future__ import annotations

import argparse
import gc
import platform
import socket
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple, cast

from bench.applications import hello
from ropewalk.config.settings import Settings
from ropewalk.runtime.service import Service

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

REQUESTS = 5000
ROUNDS = 9
GARBAGE_REQUESTS = 500

PLAIN = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"
BROWSER = (
    b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\n"
    b"Cookie: sessionid=0123456789abcdef0123456789abcdef; csrftoken=0123456789abcdef0123456789abcdef\r\n"
    b"Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\r\n"
)


class FakeSocket:
    """Receives these requests in turn, and sends everything at once."""

    def __init__(self, requests: Iterable[bytes]) -> None:
        self._next = cycle(requests).__next__

    def fileno(self) -> int:
        return 1 << 20

    def recv(self, size: int) -> bytes:
        return self._next()

    def send(self, data: bytes) -> int:
        return len(data)

    def sendmsg(self, parts: Sequence[bytes]) -> int:
        return sum(map(len, parts))

    def close(self) -> None:
        pass


class Hops(NamedTuple):
    """What a connection does for one request."""

    receive: Callable[[], object]
    run: Callable[[], object]
    send: Callable[[], object]

    def all(self) -> None:
        self.receive()
        self.run()
        self.send()


def connect(*requests: bytes, application: WSGIApplication = hello.application) -> Hops:
    """The hops of one connection of a real service."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings(wsgi_app="bench:application")
        service = Service(application, [listener], settings)
    service._events.register = service._events.arm = lambda fd, events: None
    sock = FakeSocket(requests)
    service._open_connection(cast(socket.socket, sock), ("127.0.0.1", 1), next(iter(service._acceptors)))
    connection = service._pool.items[sock.fileno()]
    return Hops(connection.receive, lambda: service._pool._run(connection), connection.send)


def costs(hops: Hops) -> dict[str, float]:
    """Microseconds per request, of each hop and in sum."""
    clock = time.perf_counter_ns
    least = dict.fromkeys(Hops._fields, float("inf"))
    for _ in range(ROUNDS):
        spent = [0, 0, 0]
        for _ in range(REQUESTS):
            began = clock()
            hops.receive()
            received = clock()
            hops.run()
            ran = clock()
            hops.send()
            spent[0] += received - began
            spent[1] += ran - received
            spent[2] += clock() - ran
        for name, nanoseconds in zip(least, spent, strict=True):
            least[name] = min(least[name], nanoseconds / REQUESTS / 1000)
    return least | {"sum": sum(least.values())}


def garbage(hops: Hops) -> float:
    """Objects per request that only the cyclic garbage collector frees."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(GARBAGE_REQUESTS):
            hops.all()
        return gc.collect() / GARBAGE_REQUESTS
    finally:
        gc.enable()


def memory(hops: Hops) -> tuple[int, float]:
    """The peak of the bytes that a request allocates, and the memory blocks that each leaves, garbage excluded."""
    for _ in range(GARBAGE_REQUESTS):  # what is made once and kept is not a request's
        hops.all()
    tracemalloc.start()
    hops.all()
    hops.all()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    hops.all()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    gc.collect()
    blocks = sys.getallocatedblocks()
    for _ in range(GARBAGE_REQUESTS):
        hops.all()
    gc.collect()
    return peak, (sys.getallocatedblocks() - blocks) / GARBAGE_REQUESTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.profile.hops", description="Measure Ropewalk's own code, hop by hop.")
    parser.add_argument("--browser", action="store_true", help="send the request head of a browser, with ten fields")
    hops = connect(BROWSER if parser.parse_args().browser else PLAIN)
    found = ", ".join(f"{name} {value:.2f}" for name, value in costs(hops).items())
    sys.stdout.write(f"Python {platform.python_version()}, microseconds per request: {found}\n")
    sys.stdout.write(f"objects left to the garbage collector: {garbage(hops):.1f} per request\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
