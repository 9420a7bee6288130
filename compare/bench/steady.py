"""The open loop: so many requests a second, whatever becomes of them; latency counts from the intended start.

A closed loop asks less of a server that stumbles, and so hides the very time that its users would wait. Here every
request has its moment from the beginning; one that has to wait for a connection, or for this program, waits in its
latency. Debian has no well-kept tool that does this for HTTP/1.1, hence this one: a single file, one thread, one epoll,
of the standard library alone. It tells how late it sent itself (`lag`), so that its own fault is not put on a server.

    python steady.py HOST:PORT PATH RATE SECONDS CONNECTIONS

Writes one line of JSON; latencies in seconds. Good for some thousands of requests a second.
"""

from __future__ import annotations

import gc
import json
import select
import socket
import sys
import time
from collections import deque

DRAIN = 5.0  # seconds that answers may still take behind the last request
END_OF_HEAD = b"\r\n\r\n"


class Peer:
    """One keep-alive connection with at most one request under way."""

    __slots__ = ("buffer", "fd", "intended", "sock", "wanted")

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.fd = self.sock.fileno()
        self.buffer = b""
        self.wanted = 0
        self.intended = 0.0

    def take(self) -> bool | None:
        """Read on; True when the answer is whole and good, False when it is not, None while it is not whole."""
        data = self.sock.recv(65536)
        if not data:
            return False
        self.buffer += data
        if not self.wanted:
            end = self.buffer.find(END_OF_HEAD)
            if end < 0:
                return None
            head = self.buffer[:end].lower()
            length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            self.wanted = end + 4 + int(length or b"0")
        if len(self.buffer) < self.wanted:
            return None
        is_good = self.buffer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")) and len(self.buffer) == self.wanted
        self.buffer, self.wanted = b"", 0
        return is_good


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def run(address: tuple[str, int], path: str, rate: float, seconds: float, connections: int) -> dict[str, float]:
    """Send `rate * seconds` requests at equal distances; return what came of them."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    peers = {peer.fd: peer for peer in (Peer(address) for _ in range(connections))}
    epoll = select.epoll()
    for fd in peers:
        epoll.register(fd, select.EPOLLIN)
    free = deque(peers.values())
    latencies: list[float] = []
    lags: list[float] = []
    failures = sent = 0
    total = int(rate * seconds)
    began = time.perf_counter() + 0.05
    deadline = began + seconds + DRAIN
    while len(latencies) + failures < total:
        now = time.perf_counter()
        if now > deadline:
            break
        while sent < total and free and began + sent / rate <= now:
            peer = free.popleft()
            peer.intended = began + sent / rate
            sent += 1
            lags.append(now - peer.intended)
            try:
                peer.sock.send(request)
            except OSError:
                failures += 1
                continue
        pause = began + sent / rate - time.perf_counter() if sent < total and free else 0.05
        for fd, _ in epoll.poll(max(0.0, pause - 0.0002)):  # epoll sleeps in whole milliseconds: the rest is polled
            peer = peers[fd]
            try:
                is_good = peer.take()
            except OSError:
                is_good = False
            if is_good is None:
                continue
            if is_good:
                latencies.append(time.perf_counter() - peer.intended)
                free.append(peer)
            else:  # one connection fewer; that the server closed it is its failure
                failures += 1
                epoll.unregister(fd)
                peer.sock.close()
    took = time.perf_counter() - began
    for peer in peers.values():
        peer.sock.close()
    latencies.sort()
    lags.sort()
    return {
        "requests": len(latencies),
        "seconds": took,
        "p50": percentile(latencies, 0.50),
        "p99": percentile(latencies, 0.99),
        "p999": percentile(latencies, 0.999),
        "longest": latencies[-1] if latencies else 0.0,
        "lag": percentile(lags, 0.99),
        "failures": total - len(latencies),
    }


def main() -> None:
    bind, path, rate, seconds, connections = sys.argv[1:]
    host, _, port = bind.rpartition(":")
    gc.disable()
    result = run((host, int(port)), path, float(rate), float(seconds), int(connections))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
