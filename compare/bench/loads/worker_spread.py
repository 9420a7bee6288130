"""How evenly the workers of a server share the requests.

    python -m bench.loads.worker_spread HOST:PORT CONNECTIONS REQUESTS WORKERS

Sends requests on keep-alive connections in turn, then with a new connection for each request and as many connections
open at a time. Prints the requests of the busiest worker as a multiple of the workers' mean, as JSON.
"""

from __future__ import annotations

import json
import socket
import sys
from collections import Counter

from bench.loads.connection import END_OF_HEAD, get, parse_address, receive

REQUEST = get("/worker")
LAST_REQUEST = REQUEST.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"
CONTENT_BYTES = 8


def read_worker(sock: socket.socket) -> str:
    """The worker that a response names. Raises `ConnectionError` for any other response."""
    response = b""
    while True:
        end = response.find(END_OF_HEAD)
        if end >= 0 and len(response) >= end + len(END_OF_HEAD) + CONTENT_BYTES:
            break
        response += receive(sock)
    if not response.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(response[:40].decode("latin-1"))
    return response[end + len(END_OF_HEAD) :].decode("latin-1")


def over_keep_alive(address: tuple[str, int], connections: int, requests: int) -> Counter[str]:
    """The requests of each worker."""
    socks = [socket.create_connection(address, timeout=10) for _ in range(connections)]
    counts: Counter[str] = Counter()
    while counts.total() < requests:
        for sock in socks:
            sock.sendall(REQUEST)
        counts.update(read_worker(sock) for sock in socks)
    for sock in socks:
        sock.close()
    return counts


def over_new(address: tuple[str, int], at_once: int, requests: int) -> Counter[str]:
    """The requests of each worker."""
    counts: Counter[str] = Counter()
    while counts.total() < requests:
        socks = [socket.create_connection(address, timeout=10) for _ in range(at_once)]
        for sock in socks:
            sock.sendall(LAST_REQUEST)
        for sock in socks:
            with sock:
                counts[read_worker(sock)] += 1
    return counts


def busiest(counts: Counter[str], workers: int) -> float:
    """The requests of the busiest worker as a multiple of the mean; a worker without any counts for the mean."""
    return max(counts.values()) * workers / counts.total()


def main() -> None:
    bind, connections, requests, workers = sys.argv[1:]
    address = parse_address(bind)
    found = {
        name: busiest(send(address, int(connections), int(requests)), int(workers))
        for name, send in (("busiest_keep_alive", over_keep_alive), ("busiest_new", over_new))
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
