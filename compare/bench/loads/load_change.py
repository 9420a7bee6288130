"""How long a server takes to settle when its load changes.

    python -m bench.loads.load_change HOST:PORT CONNECTIONS SECONDS

A closed loop that requests computing, then blocking, then both, then computing again, for SECONDS each. A server has
*settled* at the start of the first `WINDOW` with at least `SHARE` of the responses of a typical window in the second
half of the phase. Prints the seconds for each change, and the longest of them, as JSON.
"""

from __future__ import annotations

import gc
import json
import select
import statistics
import sys
import time
from bisect import bisect_left

from bench.loads.connection import Connection, get, parse_address

PHASES = ("computing", "blocking", "mixed", "computing")
WINDOW = 0.100  # seconds
STEP = 0.010
SHARE = 0.9


def counts(moments: list[float], seconds: float) -> list[int]:
    """The number of moments (ordered, from 0 on) in each window."""
    windows = round((seconds - WINDOW) / STEP) + 1
    begins = [number * STEP for number in range(windows)]
    return [bisect_left(moments, begin + WINDOW) - bisect_left(moments, begin) for begin in begins]


def settled(moments: list[float], seconds: float) -> float:
    """Seconds until the response rate reaches the one that it keeps."""
    found = counts(moments, seconds)
    typical = statistics.median(found[len(found) // 2 :])
    return next(number for number, count in enumerate(found) if count >= SHARE * typical) * STEP


def load(address: tuple[str, int], connections: int, seconds: float) -> list[list[float]]:
    """For each phase, when its responses came, in seconds since its start. Raises `ConnectionError`."""
    opened = {}
    epoll = select.epoll()
    requests = [get(f"/{name}") for name in PHASES]
    for _ in range(connections):
        connection = Connection(address)
        connection.sock.sendall(requests[0])
        opened[connection.fd] = connection
        epoll.register(connection.fd, select.EPOLLIN)
    found: list[list[float]] = [[] for _ in PHASES]
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds * len(PHASES):
        for fd, _ in epoll.poll(0.01):
            is_ok = opened[fd].read()
            if is_ok is None:
                continue
            if not is_ok:
                raise ConnectionError("an error response, or none")
            passed = time.perf_counter() - began
            phase = min(int(passed / seconds), len(PHASES) - 1)
            found[phase].append(passed - phase * seconds)
            opened[fd].sock.sendall(requests[phase])
    for connection in opened.values():
        connection.sock.close()
    return found


def main() -> None:
    bind, connections, seconds = sys.argv[1:]
    gc.disable()
    phases = load(parse_address(bind), int(connections), float(seconds))
    by_phase = {name: settled(moments, float(seconds)) for name, moments in zip(PHASES, phases, strict=True)}
    found = {f"settled_{name}": value for name, value in by_phase.items()}  # of computing, the second time
    sys.stdout.write(json.dumps(found | {"settled": max(found.values())}) + "\n")


if __name__ == "__main__":
    main()
