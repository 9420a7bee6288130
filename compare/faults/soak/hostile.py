"""Clients that behave badly, each in a thread of its own: they abort, stop in the middle, and are slow.

Nobody judges their requests; the server must only not keep anything of them. Each leaves its connection within
seconds, so that the server is idle soon after `stop`.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends a reset
SOME_SECONDS = 0.6  # for which a client stays silent or slow
MIB = 1024 * 1024
UPLOAD = 3 * MIB  # more than a server keeps of a body in memory
LARGE = 4 * MIB

Address = tuple[str, int]


@contextmanager
def _connection(address: Address) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=10) as sock:
        yield sock


def _get(size: int) -> bytes:
    return f"GET /work?token=hostile&size={size} HTTP/1.1\r\nHost: soak\r\n\r\n".encode()


def _post_head(length: int) -> bytes:
    return f"POST /work?token=hostile&size=10 HTTP/1.1\r\nHost: soak\r\nContent-Length: {length}\r\n\r\n".encode()


def abort_request(address: Address, choose: random.Random) -> None:
    """Reset the connection somewhere in the request."""
    with _connection(address) as sock:
        request = _post_head(UPLOAD) + bytes(UPLOAD)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.sendall(request[: choose.choice([1, 40, 200, 70_000, 2 * MIB])])


def abort_response(address: Address, choose: random.Random) -> None:
    """Reset the connection somewhere in a large response."""
    with _connection(address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.sendall(_get(LARGE))
        sock.recv(choose.choice([1, 1000, 65536]))


def stop_in_the_head(address: Address, choose: random.Random) -> None:
    """Send half a head, wait, and leave."""
    with _connection(address) as sock:
        sock.sendall(b"GET /work?token=hostile&size=10 HTTP/1.1\r\nHost: so")
        time.sleep(SOME_SECONDS)


def stop_in_the_body(address: Address, choose: random.Random) -> None:
    """Send part of a body that is written to disk, wait, and leave."""
    with _connection(address) as sock:
        sock.sendall(_post_head(UPLOAD) + bytes(2 * MIB))
        time.sleep(SOME_SECONDS)


def upload_slowly(address: Address, choose: random.Random) -> None:
    """Send a whole body in pieces, and read the response."""
    with _connection(address) as sock:
        sock.sendall(_post_head(UPLOAD))
        for _ in range(12):
            sock.sendall(bytes(UPLOAD // 12))
            time.sleep(SOME_SECONDS / 12)
        _read_response(sock)


def read_slowly(address: Address, choose: random.Random) -> None:
    """Read a large response in pieces, to its end."""
    with _connection(address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(_get(LARGE))
        for _ in range(40):
            if not sock.recv(32768):
                return
            time.sleep(SOME_SECONDS / 40)


def leave_a_stream(address: Address, choose: random.Random) -> None:
    """Leave a response that is produced in pieces, in the middle."""
    with _connection(address) as sock:
        sock.sendall(b"GET /stream?token=hostile&size=1000&ms=600 HTTP/1.1\r\nHost: soak\r\n\r\n")
        sock.recv(100)
        time.sleep(choose.random() * SOME_SECONDS)


def send_garbage(address: Address, choose: random.Random) -> None:
    with _connection(address) as sock:
        sock.sendall(choose.randbytes(200) + b"\r\n\r\n")
        _read_response(sock)


def pipeline_and_leave(address: Address, choose: random.Random) -> None:
    """Send many requests at once and leave after the first response."""
    with _connection(address) as sock:
        sock.sendall(_get(5000) * 20)
        sock.recv(1000)


BEHAVIOURS: tuple[Callable[[Address, random.Random], None], ...] = (
    *(abort_request, abort_response, stop_in_the_head, stop_in_the_body, upload_slowly),
    *(read_slowly, leave_a_stream, send_garbage, pipeline_and_leave),
)


def _read_response(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.settimeout(2)
        sock.recv(65536)


class HostileClients:
    """One thread for each behaviour, which repeats it from `start` to `stop`."""

    def __init__(self, address: Address, seed: int = 0) -> None:
        self.connections = 0  # opened; each thread adds, so it may be a few short
        self._address = address
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(behaviour, random.Random(seed)), name=behaviour.__name__)
            for behaviour in BEHAVIOURS
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, behaviour: Callable[[Address, random.Random], None], choose: random.Random) -> None:
        while not self._stopping.is_set():
            with suppress(OSError):  # refused or reset: that is for the judged clients to count
                behaviour(self._address, choose)
            self.connections += 1
            self._stopping.wait(0.05)
