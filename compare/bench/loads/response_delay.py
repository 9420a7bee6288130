"""How long a finished response is delayed while another request, which arrived at the same moment, blocks.

    python -m bench.loads.response_delay HOST:PORT BATCHES PID ...

Each batch stops the server (the processes PID) with SIGSTOP, sends requests on several connections, the fifth of which
blocks for ten seconds, and continues the server, which so finds them all at once. Each response contains the moment at
which its application finished; the rest of the time is the delay. Then the blocked request is released. Before each
batch the server computes, in short or in long requests, so that one that adapts to its load has seen nothing block.
Prints the longest delay of a batch, as the median and the maximum over the batches, in seconds as JSON.
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

from bench.loads.connection import END_OF_HEAD, get, parse_address, receive

CONNECTIONS = 8
WARM_UP = {"short": 100, "long": 5}  # requests on each connection before a batch: 0.4 s
BLOCKED = 4  # the index of the connection whose request blocks
CONTENT_BYTES = 20
STOP_SECONDS = 10.0


def finish_time(response: bytes) -> float | None:
    """When the application finished, or None for an incomplete response. Raises `ConnectionError` for an error one."""
    head, _, content = response.partition(END_OF_HEAD)
    if len(content) < CONTENT_BYTES:
        return None
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head[:40].decode("latin-1"))
    return float(content)


def read_response(sock: socket.socket) -> None:
    response = b""
    while finish_time(response) is None:
        response += receive(sock)


def wait_stopped(pid: int) -> None:
    """Wait until SIGSTOP has stopped every thread. Raises `ConnectionError` if it does not."""
    deadline = time.monotonic() + STOP_SECONDS
    for entry in Path(f"/proc/{pid}/task").iterdir():
        while entry.joinpath("stat").read_text().rpartition(") ")[2][0] not in "TZ":
            if time.monotonic() > deadline:
                raise ConnectionError(f"process {pid} did not stop")


def send_batch(socks: list[socket.socket], pids: list[int]) -> None:
    """Send all requests while the server is stopped."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for pid in pids:
            wait_stopped(pid)
        for number, sock in enumerate(socks):
            sock.sendall(get("/block" if number == BLOCKED else "/finished"))
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def longest_delay(socks: list[socket.socket], pids: list[int]) -> float:
    """The longest delay of the responses of one batch, without that of the blocked request."""
    send_batch(socks, pids)
    pending = {sock: b"" for number, sock in enumerate(socks) if number != BLOCKED}
    delays = []
    while pending:
        readable, _, _ = select.select(list(pending), [], [], 10)
        now = time.monotonic()
        if not readable:
            raise ConnectionError("no response while one request blocks")
        for sock in readable:
            pending[sock] += receive(sock)
            finished = finish_time(pending[sock])
            if finished is not None:
                delays.append(now - finished)
                del pending[sock]
    return max(delays)


def main() -> None:
    bind, batches, *pids = sys.argv[1:]
    socks = [socket.create_connection(parse_address(bind), timeout=15) for _ in range(CONNECTIONS + 1)]
    releasing = socks.pop()
    found: dict[str, float] = {}
    for kind, requests in WARM_UP.items():
        delays = []
        for _ in range(int(batches)):
            for _ in range(requests):
                for sock in socks:
                    sock.sendall(get(f"/{kind}"))
                for sock in socks:
                    read_response(sock)
            delays.append(longest_delay(socks, [int(pid) for pid in pids]))
            releasing.sendall(get("/release"))
            read_response(releasing)
            read_response(socks[BLOCKED])
        found |= {f"delay_{kind}": statistics.median(delays), f"longest_delay_{kind}": max(delays)}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
