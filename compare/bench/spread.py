"""How evenly workers share the work: asks again and again who answers.

    python -m bench.spread HOST:PORT CONNECTIONS REQUESTS WORKERS

First on kept connections, each of which asks in turn, then with a new connection for each request, as many of them open
at a time. Writes as JSON how much the busiest worker did, as a multiple of the mean of all workers.
"""

from __future__ import annotations

import json
import socket
import sys
from collections import Counter

REQUEST = b"GET /whose HTTP/1.1\r\nHost: bench\r\n\r\n"
LAST_REQUEST = b"GET /whose HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
CONTENT_OCTETS = 8
END_OF_HEAD = b"\r\n\r\n"


def whose(sock: socket.socket) -> str:
    """Read one answer. Raises `ConnectionError` for one that is none."""
    answer = b""
    while True:
        data = sock.recv(65536)
        answer += data
        end = answer.find(END_OF_HEAD)
        if end >= 0 and len(answer) >= end + len(END_OF_HEAD) + CONTENT_OCTETS:
            break
        if not data:
            raise ConnectionError("closed before its answer was whole")
    if not answer.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(answer[:40].decode("latin-1"))
    return answer[end + len(END_OF_HEAD) :].decode("latin-1")


def kept(address: tuple[str, int], connections: int, requests: int) -> Counter[str]:
    socks = [socket.create_connection(address, timeout=10) for _ in range(connections)]
    counts: Counter[str] = Counter()
    while counts.total() < requests:
        for sock in socks:
            sock.sendall(REQUEST)
        counts.update(whose(sock) for sock in socks)
    for sock in socks:
        sock.close()
    return counts


def new(address: tuple[str, int], at_once: int, requests: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    while counts.total() < requests:
        socks = [socket.create_connection(address, timeout=10) for _ in range(at_once)]
        for sock in socks:
            sock.sendall(LAST_REQUEST)
        for sock in socks:
            with sock:
                counts[whose(sock)] += 1
    return counts


def busiest(counts: Counter[str], workers: int) -> float:
    """What the busiest did, as a multiple of the mean; a worker that did nothing counts for the mean."""
    return max(counts.values()) * workers / counts.total()


def main() -> None:
    bind, connections, requests, workers = sys.argv[1:]
    host, _, port = bind.rpartition(":")
    address = host, int(port)
    found = {
        f"busiest_{name}": busiest(ask(address, int(connections), int(requests)), int(workers))
        for name, ask in (("kept", kept), ("new", new))
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
