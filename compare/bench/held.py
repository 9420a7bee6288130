"""How long a finished answer waits while another request, which came at the same moment, blocks.

    python -m bench.held HOST:PORT BATCHES PID ...

The server (those PIDs) is stopped, requests are sent on several connections, the fifth of which will block for ten
seconds, and it goes on: so it finds them all at once, as one batch. Each answer tells when its application returned;
the rest is how long it waited. Then the one that blocks is released. Before each batch the server computes, in short
requests or in long ones, so that one which follows its load has seen nothing block. Writes the longest wait of a batch,
the median and the worst of all batches, in seconds as JSON.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import statistics
import sys
import time
from contextlib import suppress
from pathlib import Path

CONNECTIONS = 8
TURNS = {"short": 100, "long": 5}  # requests on each connection before a batch: 0.4 s
BLOCKS = 4  # the number, from 0, of the one that blocks
END_OF_HEAD = b"\r\n\r\n"
CONTENT_OCTETS = 20


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def finished(answer: bytes) -> float | None:
    """The moment that an answer tells; None while it is not whole. Raises `ConnectionError` for one that is none."""
    head, _, content = answer.partition(END_OF_HEAD)
    if len(content) < CONTENT_OCTETS:
        return None
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head[:40].decode("latin-1"))
    return float(content)


def receive(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("closed before its answer was whole")
    return data


def read(sock: socket.socket) -> None:
    """Take one whole answer."""
    answer = b""
    while finished(answer) is None:
        answer += receive(sock)


def wait_stopped(pid: int) -> None:
    """A signal takes a moment to stop every thread. Raises `ConnectionError` where it does not."""
    deadline = time.monotonic() + 10
    for entry in Path(f"/proc/{pid}/task").iterdir():
        while entry.joinpath("stat").read_text().rpartition(") ")[2][0] not in "TZ":
            if time.monotonic() > deadline:
                raise ConnectionError(f"process {pid} does not stop")


def batch(socks: list[socket.socket], pids: list[int]) -> float:
    """The longest wait of the answers that are not the one which blocks."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for pid in pids:
            wait_stopped(pid)
        for number, sock in enumerate(socks):
            sock.sendall(request("/block" if number == BLOCKS else "/finished"))
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    others = {sock: b"" for number, sock in enumerate(socks) if number != BLOCKS}
    waits = []
    while others:
        readable, _, _ = select.select(list(others), [], [], 10)
        now = time.monotonic()
        if not readable:
            raise ConnectionError("no answer beside the one that blocks")
        for sock in readable:
            others[sock] += receive(sock)
            moment = finished(others[sock])
            if moment is not None:
                waits.append(now - moment)
                del others[sock]
    return max(waits)


def main() -> None:
    bind, batches, *pids = sys.argv[1:]
    host, _, port = bind.rpartition(":")
    socks = [socket.create_connection((host, int(port)), timeout=15) for _ in range(CONNECTIONS + 1)]
    releasing = socks.pop()
    found: dict[str, float] = {}
    for kind, turns in TURNS.items():
        waits = []
        for _ in range(int(batches)):
            for _ in range(turns):
                for sock in socks:
                    sock.sendall(request(f"/{kind}"))
                for sock in socks:
                    read(sock)
            waits.append(batch(socks, [int(pid) for pid in pids]))
            releasing.sendall(request("/release"))
            read(releasing)
            read(socks[BLOCKS])
        found |= {f"held_{kind}": statistics.median(waits), f"worst_{kind}": max(waits)}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
