"""What a service reports of itself: a few numbers for an embedding program, and everything for the master."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ropewalk.logs.error_log import get_logger
from ropewalk.metrics.counters import Metrics
from ropewalk.net.connection_config import ConnectionConfig
from ropewalk.process.worker.watchdog import Running
from ropewalk.runtime.streams import streaming_since
from ropewalk.threads.pool import Pool
from ropewalk.wsgi.exchange import WsgiConnection

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import WorkerSnapshot


class Stats(NamedTuple):
    """What a server is doing, and what it has counted since it was made."""

    connections: int
    """Open connections; listening sockets do not count."""
    in_flight: int
    """Requests that the application is working on."""
    waiting: int
    """Requests that have been received and wait for a thread."""
    active_threads: int
    """Threads that are not parked; one of them may be waiting for sockets."""
    streams: int
    """Threads that are occupied by a response that streams."""
    finished: int
    """Requests that the application has finished."""
    responses: Mapping[str, int]
    """Responses of the application, by class of their status: `2xx`."""
    refused: Mapping[str, int]
    """Responses of the server itself, by status code: `400`, `503`."""
    shed: Mapping[str, int]
    """Requests and connections that were refused for overload, by reason: `connections`, `waiting`, `queue-timeout`."""


def take_stats(pool: Pool, metrics: Metrics) -> Stats:
    counters = metrics.counters()
    return Stats(
        connections=pool.connections,
        in_flight=sum(1 for _ in pool.running()),
        waiting=pool.waiting,
        active_threads=len(pool.threads) - pool.parked,
        streams=_streams(pool),
        finished=pool.finished,
        responses=counters["responses"],
        refused=counters["refused"],
        shed=counters["shed"],
    )


def _streams(pool: Pool) -> int:
    return sum(1 for _, item, _ in pool.running() if streaming_since(item))


def take_snapshot(
    pool: Pool,
    metrics: Metrics,
    connections: Callable[[], Iterable[WsgiConnection]],
    running: Iterable[Running],
    lost_access_lines: int,
    config: ConnectionConfig,
) -> WorkerSnapshot:
    now, log, responses = time.monotonic(), get_logger(), config.response_budget
    return {
        "counters": {
            **metrics.counters(connection.sent_octets for connection in connections()),
            "log_messages": log.counts(),
            "log_lost": {"access": lost_access_lines, "error": log.lost},
        },
        "gauges": {
            "in_flight": sum(1 for _ in pool.running()),
            "streaming": _streams(pool),
            "waiting": pool.waiting,
            "threads": {
                "active": len(pool.threads) - pool.parked,
                "parked": pool.parked,
                "limit": pool.controller.limit,
            },
            "waiting_for_clients": responses.waiting_threads,
            "buffered_bytes": {
                "request_bodies": config.request_limits.body_budget.octets,
                "responses_in_memory": responses.memory_octets,
                "responses_in_files": responses.file_octets,
            },
            "connections": dict(Counter(connection.state.value for connection in connections())),
        },
        "running": [
            {"thread": each.ident, "request": each.description, "seconds": round(max(0.0, now - each.since), 3)}
            for each in running
        ],
    }
