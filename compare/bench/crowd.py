"""The bystanders of a load: connections that idle, that send their head octet by octet, or that read slowly.

    python crowd.py HOST:PORT idle COUNT
    python crowd.py HOST:PORT slow COUNT PATH      COUNT slow heads, and COUNT slow readers of PATH

Writes `ready` when all are there, ends when its input ends, and then writes how many the server had closed.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections.abc import Callable

TURN = 1.0  # seconds between two octets of a head, and between two reads
READ_OCTETS = 4096

Turn = Callable[[socket.socket], None]


def opened(address: tuple[str, int], request: bytes, receive_buffer: int = 0) -> socket.socket:
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(20)
    sock.connect(address)
    sock.sendall(request)
    return sock


def idle(address: tuple[str, int], count: int) -> tuple[list[socket.socket], Turn | None]:
    """Connections that each had one answer, and want no turn."""
    request = b"GET /hello HTTP/1.1\r\nHost: bench\r\n\r\n"
    socks = []
    for _ in range(count):
        sock = opened(address, request)
        sock.recv(65536)
        socks.append(sock)
    return socks, None


def slow(address: tuple[str, int], count: int, path: str) -> tuple[list[socket.socket], Turn | None]:
    reading = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    readers = [opened(address, reading, READ_OCTETS) for _ in range(count)]
    for sock in readers:
        sock.recv(READ_OCTETS)  # its answer has begun: making a thousand of them is not what is measured
    # Last: a server rightly refuses a head that takes longer than some ten seconds, and those begin here.
    heads = {opened(address, b"GET /hello HTTP/1.1\r\nHost: bench\r\nX-Slow: ") for _ in range(count)}

    def turn(sock: socket.socket) -> None:
        if sock in heads:
            sock.send(b"x")
        elif not sock.recv(READ_OCTETS):
            raise ConnectionResetError

    return [*heads, *readers], turn


def wait_end(socks: list[socket.socket], turn: Turn | None) -> int:
    """Give everybody a turn again and again until the input ends; return how many were closed meanwhile."""
    closed: set[socket.socket] = set()
    for sock in socks:
        sock.setblocking(False)
    step = 0
    began = time.monotonic()
    pause = TURN / max(1, len(socks))
    while True:
        rest = max(0.0, began + step * pause - time.monotonic()) if turn is not None else None
        if select.select([sys.stdin], [], [], rest)[0]:
            break
        assert turn is not None
        for _ in range(20):  # a few at once, so that waiting costs little
            sock = socks[step % len(socks)]
            step += 1
            if sock in closed:
                continue
            try:
                turn(sock)
            except BlockingIOError:
                pass
            except OSError:
                closed.add(sock)
    for sock in socks:
        if sock not in closed:
            try:
                if sock.recv(1, socket.MSG_PEEK) == b"":
                    closed.add(sock)
            except BlockingIOError:
                pass
            except OSError:
                closed.add(sock)
    return len(closed)


def main() -> None:
    bind, kind, count = sys.argv[1:4]
    host, _, port = bind.rpartition(":")
    address = host, int(port)
    socks, turn = idle(address, int(count)) if kind == "idle" else slow(address, int(count), sys.argv[4])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdout.write(f"{wait_end(socks, turn)}\n")


if __name__ == "__main__":
    main()
