"""Load shedding: refusing connections and requests that the server cannot serve in time, counted by reason."""

from __future__ import annotations

import time
from math import inf
from time import monotonic

from ropewalk.errors import OverloadError
from ropewalk.metrics.counters import Metrics, queue_seconds
from ropewalk.net.connection_states import State
from ropewalk.net.timed_connection import TimedConnection
from ropewalk.threads.pool import Item
from ropewalk.wsgi.environ import ConnectionEnviron
from ropewalk.wsgi.exchange import Exchange, WsgiConnection

WHY = {
    "connections": "more connections than --limit-connections",
    "waiting": "more requests wait than --limit-waiting",
    "queue-timeout": "waited longer than --queue-timeout",
}
"""For the log, by the reason that is counted."""


class LoadShedder:
    """Used by all threads of the pool, each for the connection that it holds."""

    def __init__(self, metrics: Metrics, queue_timeout: float) -> None:
        """`queue_timeout` is in seconds; 0: a request may wait for any time."""
        self._metrics = metrics
        self._queue_timeout = queue_timeout or inf

    def shed(self, connection: WsgiConnection, reason: str) -> None:
        """Refuse to serve the connection, with a 503 if a response can be read yet."""
        if connection.state is State.HANDSHAKE:
            self._metrics.shed(reason)
            connection.close()
            return
        connection.refuse(OverloadError(reason, WHY[reason]))

    def overflow(self, item: Item) -> None:
        """Shed a request that may not wait, or may not wait any longer."""
        reason = "queue-timeout" if self._queue_timeout < inf and self.is_overdue(item) else "waiting"
        self.shed(item, reason)  # type: ignore[arg-type]  # only connections have requests

    def is_overdue(self, item: Item) -> bool:
        """Whether a request has waited for a thread for too long. Only called with a queue timeout."""
        connection: TimedConnection[ConnectionEnviron, Exchange] = item  # type: ignore[assignment]  # timed for it
        return monotonic() - connection.whole_since > self._queue_timeout

    def is_late(self, connection: WsgiConnection, exchange: Exchange) -> bool:
        """Count how long the request has been queued since the proxy received it; shed it if that is too long."""
        seconds = queue_seconds(exchange.environ["HTTP_X_REQUEST_START"], time.time())
        if seconds is None:
            return False
        self._metrics.queued(seconds)
        exchange.queue_seconds = seconds
        if seconds <= self._queue_timeout or not isinstance(connection, TimedConnection):
            return False
        if seconds - connection.content_seconds <= self._queue_timeout:
            return False
        self.shed(connection, "queue-timeout")
        return True
