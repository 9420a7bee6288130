"""How soon a server has settled when the load changes under way.

    python -m bench.settle HOST:PORT CONNECTIONS SECONDS

A closed loop that asks for computing, then for blocking, then for both, then for computing again, for so many seconds
each. *Settled* is the beginning of the first `WINDOW` in which as many answers came, but for a tenth, as in a usual one
of the second half. Writes for each change, and for the slowest of them, after how many seconds, as JSON.
"""

from __future__ import annotations

import gc
import json
import select
import statistics
import sys
import time
from bisect import bisect_left

from bench.steady import Peer

PHASES = ("computing", "blocking", "mixed", "computing")
WINDOW = 0.100  # seconds
STEP = 0.010
SHARE = 0.9  # of the usual rate


def counts(moments: list[float], seconds: float) -> list[int]:
    """Of moments in order, from 0 on: how many fall into each window."""
    windows = round((seconds - WINDOW) / STEP) + 1
    begins = [number * STEP for number in range(windows)]
    return [bisect_left(moments, begin + WINDOW) - bisect_left(moments, begin) for begin in begins]


def settled(moments: list[float], seconds: float) -> float:
    """Seconds until the rate of answers is what it stays."""
    found = counts(moments, seconds)
    usual = statistics.median(found[len(found) // 2 :])
    return next(number for number, count in enumerate(found) if count >= SHARE * usual) * STEP


def load(address: tuple[str, int], connections: int, seconds: float) -> list[list[float]]:
    """For each phase, when its answers came, in seconds since it began. Raises `ConnectionError`."""
    peers = {}
    epoll = select.epoll()
    requests = [f"GET /{name} HTTP/1.1\r\nHost: bench\r\n\r\n".encode() for name in PHASES]
    for _ in range(connections):
        peer = Peer(address)
        peer.sock.sendall(requests[0])
        peers[peer.fd] = peer
        epoll.register(peer.fd, select.EPOLLIN)
    found: list[list[float]] = [[] for _ in PHASES]
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds * len(PHASES):
        for fd, _ in epoll.poll(0.01):
            is_good = peers[fd].take()
            if is_good is None:
                continue
            if not is_good:
                raise ConnectionError("an answer that is none")
            passed = time.perf_counter() - began
            phase = min(int(passed / seconds), len(PHASES) - 1)
            found[phase].append(passed - phase * seconds)
            peers[fd].sock.sendall(requests[phase])
    for peer in peers.values():
        peer.sock.close()
    return found


def main() -> None:
    bind, connections, seconds = sys.argv[1:]
    host, _, port = bind.rpartition(":")
    gc.disable()
    phases = load((host, int(port)), int(connections), float(seconds))
    found = {name: settled(moments, float(seconds)) for name, moments in zip(PHASES, phases, strict=True)}
    told = {f"settle_{name}": value for name, value in found.items()}  # of computing, the second one
    sys.stdout.write(json.dumps(told | {"settle": max(told.values())}) + "\n")


if __name__ == "__main__":
    main()
