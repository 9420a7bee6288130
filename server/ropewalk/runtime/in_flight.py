"""What the application is running: told to whoever asks, and answered in its place when it takes too long.

Everything here is called from outside the pool, while the pool's threads go on. Each row was true at some moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from ropewalk.net.connection import Connection
from ropewalk.threads.pool import Pool
from ropewalk.wsgi.exchange import Exchange, WsgiConnection
from ropewalk.wsgi.timeouts import RequestTimeouts

RunningRequest = tuple[int, str, float]
"""Thread ident, method and target, and since when (monotonic seconds). An answer that is streamed runs since it has
made progress last."""


class InFlight:
    """The requests that are inside the application."""

    def __init__(self, pool: Pool, limits: RequestTimeouts) -> None:
        self._pool = pool
        self._limits = limits
        self._timed_out: dict[tuple[int, float], str] = {}
        """What still runs though it was answered with 504: by thread and since when. Written by `interrupt` alone."""

    def rows(self) -> list[RunningRequest]:
        """All that run now."""
        timed_out = self._timed_out  # their connections have forgotten what they were asked for
        return [
            (thread, timed_out.get((thread, since)) or _describe(connection), since)
            for thread, connection, since in self._connections()
        ]

    def _connections(self) -> Iterator[tuple[int, WsgiConnection, float]]:
        for worker, item, since in self._pool.running():
            if isinstance(item, Connection):
                exchange: Exchange | None = item.exchange
                progress = exchange.progress if exchange is not None else 0.0
                yield worker.thread.ident or 0, item, max(since, progress)

    def timeout_of(self, thread: int, since: float) -> float:
        """How many seconds that which `thread` has run since then may take; inf if it does not run any more."""
        for ident, connection, started in self._connections():
            head = connection.head
            if ident == thread and started == since and head is not None:
                return self._limits.of(head.path)
        return inf

    def interrupt(self, thread: int, since: float) -> bool:
        """Answer 504 for what `thread` has run since then, and raise in it; False if it was too late."""
        for worker, item, started in self._pool.running():
            if worker.thread.ident == thread and started == since and isinstance(item, Connection):
                exchange: Exchange | None = item.exchange
                # The thread may have gone on: the exchange is of this thread, and that still runs what it ran.
                if exchange is not None and exchange.thread == thread and worker.since == since:
                    description = _describe(item)
                    is_respond_insteadn = exchange.respond_instead(504, "the application took too long")
                    if is_respond_insteadn:
                        self._remember(thread, since, f"{description}, answered with 504")
                    return is_respond_insteadn
        return False

    def _remember(self, thread: int, since: float, description: str) -> None:
        running = {(worker.thread.ident, started) for worker, _, started in self._pool.running()}
        kept = {key: value for key, value in self._timed_out.items() if key in running}
        self._timed_out = {**kept, (thread, since): description}


def _describe(item: WsgiConnection) -> str:
    head, exchange = item.head, item.exchange
    name = exchange.logged_request_id if exchange is not None else ""
    request = f"{head.method} {head.request_target[:200]!r}" if head is not None else "a request"
    return f"{request} (request id {name})" if name else request
