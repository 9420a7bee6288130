"""Background connections of a load: idle ones, or clients that send a request head or read a response slowly.

    python -m bench.loads.background HOST:PORT idle COUNT
    python -m bench.loads.background HOST:PORT slow COUNT PATH     COUNT slow senders, and COUNT slow readers of PATH

Prints `ready` once all are connected, ends at the end of its standard input, and then prints how many connections the
server closed.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections.abc import Callable

from bench.loads.connection import RECEIVE_BYTES, get, parse_address

INTERVAL = 1.0  # seconds between two bytes of a head, and between two reads
READ_BYTES = 4096
STEPS = 20  # connections served between two waits, so that waiting costs little

Step = Callable[[socket.socket], None]


def connect(address: tuple[str, int], request: bytes, receive_buffer: int = 0) -> socket.socket:
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(20)
    sock.connect(address)
    sock.sendall(request)
    return sock


def connect_idle(address: tuple[str, int], count: int) -> list[socket.socket]:
    """Connections that each had one response."""
    socks = []
    for _ in range(count):
        sock = connect(address, get("/hello"))
        sock.recv(RECEIVE_BYTES)
        socks.append(sock)
    return socks


def connect_slow(address: tuple[str, int], count: int, path: str) -> tuple[list[socket.socket], Step]:
    """The connections of slow senders and slow readers, and what each does once per `INTERVAL`."""
    readers = [connect(address, get(path), READ_BYTES) for _ in range(count)]
    for sock in readers:
        sock.recv(READ_BYTES)  # wait for the start of the response, so that the load does not measure producing it
    # The senders come last: a server rightly refuses a head that takes longer than about ten seconds.
    senders = {connect(address, b"GET /hello HTTP/1.1\r\nHost: bench\r\nX-Slow: ") for _ in range(count)}

    def step(sock: socket.socket) -> None:
        if sock in senders:
            sock.send(b"x")
        elif not sock.recv(READ_BYTES):
            raise ConnectionResetError

    return [*senders, *readers], step


def run_until_end_of_input(socks: list[socket.socket], step: Step | None) -> int:
    """Serve the connections in turn until standard input ends; return how many the server closed."""
    for sock in socks:
        sock.setblocking(False)
    closed: set[socket.socket] = set()
    if step is None:
        select.select([sys.stdin], [], [])
    else:
        _run_steps(socks, step, closed)
    return len(closed | {sock for sock in socks if sock not in closed and _is_closed(sock)})


def _run_steps(socks: list[socket.socket], step: Step, closed: set[socket.socket]) -> None:
    began = time.monotonic()
    pause = INTERVAL / len(socks)
    done = 0
    while not select.select([sys.stdin], [], [], max(0.0, began + done * pause - time.monotonic()))[0]:
        for _ in range(STEPS):
            sock = socks[done % len(socks)]
            done += 1
            if sock in closed:
                continue
            try:
                step(sock)
            except BlockingIOError:
                pass
            except OSError:
                closed.add(sock)


def _is_closed(sock: socket.socket) -> bool:
    try:
        return sock.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def main() -> None:
    bind, kind, count = sys.argv[1:4]
    address = parse_address(bind)
    step = None
    if kind == "idle":
        socks = connect_idle(address, int(count))
    else:
        socks, step = connect_slow(address, int(count), sys.argv[4])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdout.write(f"{run_until_end_of_input(socks, step)}\n")


if __name__ == "__main__":
    main()
