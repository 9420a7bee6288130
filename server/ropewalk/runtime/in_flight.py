"""The requests that the application is working on: listed, and interrupted if they take too long.

Called from outside the pool, while its threads continue. What is returned was true at some moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from ropewalk.net.connection import Connection
from ropewalk.threads.pool import Pool
from ropewalk.wsgi.exchange import Exchange, WsgiConnection
from ropewalk.wsgi.timeouts import RequestTimeouts

RunningRequest = tuple[int, str, float]
"""Thread ident, description, and since when (monotonic seconds). For a streamed response: since it last progressed."""


class InFlight:
    """The requests that the threads of `pool` are running."""

    def __init__(self, pool: Pool, limits: RequestTimeouts) -> None:
        self._pool = pool
        self._limits = limits
        self._timed_out: dict[tuple[int, float], str] = {}
        """Descriptions of requests that still run after their 504: by thread and since when. Written by `interrupt`."""

    def rows(self) -> list[RunningRequest]:
        """All requests that are running."""
        timed_out = self._timed_out  # their connections no longer have the head
        return [
            (thread, timed_out.get((thread, since)) or _describe(connection), since)
            for thread, connection, since in self._connections()
        ]

    def _connections(self) -> Iterator[tuple[int, WsgiConnection, float]]:
        for pool_thread, item, since in self._pool.running():
            if isinstance(item, Connection):
                exchange: Exchange | None = item.exchange
                progress = exchange.progress if exchange is not None else 0.0
                yield pool_thread.thread.ident or 0, item, max(since, progress)

    def timeout_of(self, thread: int, since: float) -> float:
        """Seconds that the request which `thread` has run since then may take; inf if it has ended."""
        for ident, connection, started in self._connections():
            head = connection.head
            if ident == thread and started == since and head is not None:
                return self._limits.of(head.path)
        return inf

    def interrupt(self, thread: int, since: float) -> bool:
        """Respond with 504 to the request that `thread` has run since then, and raise in it; False if too late."""
        for pool_thread, item, started in self._pool.running():
            if pool_thread.thread.ident == thread and started == since and isinstance(item, Connection):
                exchange: Exchange | None = item.exchange
                # The thread may have continued: check that the exchange is its own, and that it still runs the same.
                if exchange is not None and exchange.thread == thread and pool_thread.since == since:
                    description = _describe(item)
                    is_interrupted = exchange.respond_instead(504, "the application took too long")
                    if is_interrupted:
                        self._remember(thread, since, f"{description}, answered with 504")
                    return is_interrupted
        return False

    def _remember(self, thread: int, since: float, description: str) -> None:
        running = {(pool_thread.thread.ident, started) for pool_thread, _, started in self._pool.running()}
        kept = {key: value for key, value in self._timed_out.items() if key in running}
        self._timed_out = {**kept, (thread, since): description}


def _describe(item: WsgiConnection) -> str:
    head, exchange = item.head, item.exchange
    name = exchange.logged_request_id if exchange is not None else ""
    request = f"{head.method} {head.request_target[:200]!r}" if head is not None else "a request"
    return f"{request} (request id {name})" if name else request
