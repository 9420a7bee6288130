"""The requests that the application is working on: listed, and interrupted if they take too long.

Called from outside the pool, while its threads continue. What is returned was true at some moment.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from math import inf
from time import monotonic
from typing import NamedTuple

from ropewalk.net.connection import Connection
from ropewalk.process.worker.watchdog import Running
from ropewalk.threads.pool import Pool
from ropewalk.wsgi.exchange import Exchange, WsgiConnection
from ropewalk.wsgi.timeouts import RequestTimeouts


class _Request(NamedTuple):
    """One request that runs."""

    thread: int
    began: float
    connection: WsgiConnection
    exchange: Exchange | None
    """None for moments at its beginning, and after its response, unless that was streamed."""
    quiet_since: float

    @property
    def since(self) -> float:
        """Since when it runs; of a streamed response: since when it has been quiet, inf while it waits for the peer."""
        return max(self.began, self.quiet_since)


class InFlight:
    """The requests that the threads of `pool` are running."""

    def __init__(self, pool: Pool, limits: RequestTimeouts) -> None:
        self._pool = pool
        self._limits = limits
        self._lock = threading.Lock()
        """Held by `interrupt`: one thread at a time."""
        self._ended: dict[tuple[int, float], str] = {}
        """Descriptions of requests that still run after the end of their responses: by thread and since when."""

    def rows(self) -> list[Running]:
        """All requests that are running. One whose thread waits for the peer is listed as if it had just begun."""
        ended = self._ended  # their connections no longer have the head
        return [
            Running(
                each.thread,
                ended.get((each.thread, each.began)) or _describe(each.connection, each.exchange),
                monotonic() if each.since == inf else each.since,
                bool(each.quiet_since),
            )
            for each in self._requests()
        ]

    def _requests(self) -> Iterator[_Request]:
        for pool_thread, item, began in self._pool.running():
            if isinstance(item, Connection):
                thread = pool_thread.thread.ident or 0
                exchange = _exchange_of(thread, item)
                yield _Request(thread, began, item, exchange, 0.0 if exchange is None else exchange.quiet_since)

    def timeout_of(self, thread: int, since: float) -> float:
        """Seconds that the request which `thread` has run since then may take; inf if it has ended."""
        for each in self._requests():
            if each.thread == thread and each.since == since and each.exchange is not None:
                path = each.exchange.path
                return self._limits.of_stream(path) if each.quiet_since else self._limits.of(path)
        return inf

    def interrupt(self, thread: int, since: float) -> bool:
        """End the response to the request that `thread` has run since then, and raise in it; False if too late.

        A response that has not begun is a 504. One that is streamed ends incomplete, unless it has made progress.
        """
        with self._lock:
            for each in self._requests():
                if each.thread == thread and each.since == since:
                    return self._interrupt(each)
        return False

    def _interrupt(self, request: _Request) -> bool:
        # The thread may have continued: check that it still runs the same.
        exchange = request.exchange
        if exchange is None or (request.thread, request.began) not in self._keys():
            return False
        description = _describe(request.connection, exchange)
        if not exchange.interrupt(504, "the application took too long"):
            return False
        how = "answered with 504" if not exchange.has_begun else "interrupted after its response began"
        ended = {key: value for key, value in self._ended.items() if key in self._keys()}
        self._ended = {**ended, (request.thread, request.began): f"{description}, {how}"}
        return True

    def _keys(self) -> set[tuple[int, float]]:
        return {(pool_thread.thread.ident or 0, began) for pool_thread, _, began in self._pool.running()}


def _exchange_of(thread: int, connection: WsgiConnection) -> Exchange | None:
    """The exchange that this thread runs: another thread may be running the connection's next one."""
    exchange = connection.exchange
    if exchange is not None and exchange.thread == thread:
        return exchange
    return next((each for each in connection.producing if each.thread == thread), None)


def _describe(connection: WsgiConnection, exchange: Exchange | None) -> str:
    if exchange is not None:
        name = exchange.logged_request_id
        return f"{exchange.description()} (request id {name})" if name else exchange.description()
    head = connection.head
    return f"{head.method} {head.request_target[:200]!r}" if head is not None else "a request"
