"""What Ropewalk's own code costs a request, hop by hop, without the kernel: `python -m bench.hops [--browser]`.

One connection with a socket that is none is driven through `receive`, run and `send` in this thread, and the best of
several rounds is told. Also counts the objects that a request leaves to the cycle collector: there should be none:
each is memory (the request's content with it) that lives until the collector comes by.
"""

from __future__ import annotations

import argparse
import gc
import platform
import socket
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from bench.applications.hello import application
from bench.backends import SERVER

TURNS = 5000
ROUNDS = 9
LEFT_TURNS = 500

PLAIN = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"
BROWSER = (
    b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\n"
    b"Cookie: sessionid=0123456789abcdef0123456789abcdef; csrftoken=0123456789abcdef0123456789abcdef\r\n"
    b"Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\r\n"
)


class Wire:
    """A socket that is none: always the same request, and every answer taken whole."""

    def __init__(self, request: bytes) -> None:
        self._request = request

    def fileno(self) -> int:
        return 1 << 20

    def recv(self, size: int) -> bytes:
        return self._request

    def send(self, octets: bytes) -> int:
        return len(octets)

    def close(self) -> None:
        pass


def hops(request: bytes) -> tuple[Callable[[], Any], Callable[[], Any], Callable[[], Any]]:
    """The three hops of one connection of a real service."""
    sys.path.insert(0, str(SERVER))
    from ropewalk.config.settings import Settings
    from ropewalk.runtime.service import Service

    with socket.create_server(("127.0.0.1", 0)) as listener:
        service = Service(application, [listener], Settings(wsgi_app="bench:application"))
    service._events.register = service._events.arm = lambda fd, events: None
    wire = Wire(request)
    service._adopt(wire, ("127.0.0.1", 1), next(iter(service._acceptors)))
    connection = service._pool.items[wire.fileno()]
    return connection.receive, lambda: service._run(connection), connection.send


def costs(receive: Callable[[], Any], run: Callable[[], Any], send: Callable[[], Any]) -> dict[str, float]:
    """Microseconds a request, of each hop and of all."""
    clock = time.perf_counter_ns
    least = {"receive": float("inf"), "run": float("inf"), "send": float("inf")}
    for _ in range(ROUNDS):
        spent = [0, 0, 0]
        for _ in range(TURNS):
            began = clock()
            receive()
            received = clock()
            run()
            ran = clock()
            send()
            spent[0] += received - began
            spent[1] += ran - received
            spent[2] += clock() - ran
        for name, nanoseconds in zip(least, spent, strict=True):
            least[name] = min(least[name], nanoseconds / TURNS / 1000)
    return least | {"all": sum(least.values())}


def left_to_the_collector(receive: Callable[[], Any], run: Callable[[], Any], send: Callable[[], Any]) -> float:
    """Objects a request that only the cycle collector frees."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(LEFT_TURNS):
            receive()
            run()
            send()
        return gc.collect() / LEFT_TURNS
    finally:
        gc.enable()


def memory(receive: Callable[[], Any], run: Callable[[], Any], send: Callable[[], Any]) -> tuple[int, float]:
    """Octets that one request has allocated at its height, and the blocks that each leaves, beyond any garbage."""

    def turn(count: int) -> None:
        for _ in range(count):
            receive()
            run()
            send()

    turn(LEFT_TURNS)  # what is made once and kept is none of a request's
    tracemalloc.start()
    turn(2)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    turn(1)
    height = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    gc.collect()
    blocks = sys.getallocatedblocks()
    turn(LEFT_TURNS)
    gc.collect()
    return height, (sys.getallocatedblocks() - blocks) / LEFT_TURNS


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.hops", description="What Ropewalk's own code costs, hop by hop.")
    parser.add_argument("--browser", action="store_true", help="the request head of a browser, with ten fields")
    three = hops(BROWSER if parser.parse_args().browser else PLAIN)
    found = costs(*three)
    told = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    sys.stdout.write(f"Python {platform.python_version()}, microseconds a request: {told}\n")
    sys.stdout.write(f"objects left to the collector: {left_to_the_collector(*three):.1f} a request\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
