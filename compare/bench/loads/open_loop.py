"""The open loop: requests at given times, with each latency counted from the moment at which the request was due.

A closed loop sends less to a server that stalls, and so hides the time that users would wait (coordinated omission).
Here a request that must wait for a free connection, or for this program, waits within its latency. `lag` reports how
late the program itself sent its requests. It is one thread with one epoll and good for a few thousand requests/s.

    python -m bench.loads.open_loop HOST:PORT PATH RATE SECONDS CONNECTIONS

requests at equal intervals and prints one line of JSON; latencies are in seconds.
"""

from __future__ import annotations

import gc
import json
import select
import sys
import time
from collections import deque
from collections.abc import Sequence

from bench.loads.connection import Connection, get, parse_address

DRAIN_SECONDS = 5.0  # for responses after the last request
LEAD_SECONDS = 0.05  # before the first request
MAX_POLL_SECONDS = 0.05
POLL_SLACK = 0.0002  # epoll sleeps in whole milliseconds: the rest is polled


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class OpenLoop:
    """Sends each request of `schedule` at its time, in seconds from the start, over connections that take turns."""

    def __init__(self, schedule: Sequence[tuple[float, bytes]], connections: Sequence[Connection]) -> None:
        self._schedule = schedule
        self._total = len(schedule)
        self._connections = {one.fd: one for one in connections}
        self._free = deque(self._connections.values())
        self._epoll = select.epoll()
        for fd in self._connections:
            self._epoll.register(fd, select.EPOLLIN)
        self._began = 0.0
        self._sent = 0
        self._failures = 0
        self.latencies: list[float] = []
        self._lags: list[float] = []

    def run(self) -> dict[str, float]:
        self._began = time.perf_counter() + LEAD_SECONDS
        deadline = self._began + self._schedule[-1][0] + DRAIN_SECONDS
        while len(self.latencies) + self._failures < self._total and time.perf_counter() <= deadline:
            self._send_due()
            self._receive()
        took = time.perf_counter() - self._began
        for connection in self._connections.values():
            connection.sock.close()
        self._epoll.close()
        return self._results(took)

    def _due(self) -> float:
        """When the next request is due."""
        return self._began + self._schedule[self._sent][0]

    def _send_due(self) -> None:
        now = time.perf_counter()
        while self._sent < self._total and self._free and self._due() <= now:
            connection = self._free.popleft()
            connection.intended = self._due()
            request = self._schedule[self._sent][1]
            self._sent += 1
            self._lags.append(now - connection.intended)
            try:
                connection.sock.send(request)
            except OSError:
                self._failures += 1

    def _receive(self) -> None:
        can_send = self._sent < self._total and self._free
        pause = self._due() - time.perf_counter() if can_send else MAX_POLL_SECONDS
        for fd, _ in self._epoll.poll(max(0.0, pause - POLL_SLACK)):
            connection = self._connections[fd]
            try:
                is_ok = connection.read()
            except OSError:
                is_ok = False
            if is_ok:
                self.latencies.append(time.perf_counter() - connection.intended)
                self._free.append(connection)
            elif is_ok is False:  # the load goes on with one connection fewer
                self._failures += 1
                self._epoll.unregister(fd)
                connection.sock.close()

    def _results(self, took: float) -> dict[str, float]:
        latencies, lags = sorted(self.latencies), sorted(self._lags)
        return {
            "requests": len(latencies),
            "seconds": took,
            "p50": percentile(latencies, 0.50),
            "p99": percentile(latencies, 0.99),
            "p999": percentile(latencies, 0.999),
            "longest": latencies[-1] if latencies else 0.0,
            "lag": percentile(lags, 0.99),
            "failures": self._total - len(latencies),
        }


def run(address: tuple[str, int], path: str, rate: float, seconds: float, connections: int) -> dict[str, float]:
    request = get(path)
    schedule = [(number / rate, request) for number in range(int(rate * seconds))]
    return OpenLoop(schedule, [Connection(address) for _ in range(connections)]).run()


def main() -> None:
    bind, path, rate, seconds, connections = sys.argv[1:]
    gc.disable()
    result = run(parse_address(bind), path, float(rate), float(seconds), int(connections))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
