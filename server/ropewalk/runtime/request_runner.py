"""Runs the request of a connection: from the whole request that the pool found, to the response that it is to send.

Runs in the threads of the pool; one for all requests of a worker.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from ropewalk.errors import ProtocolError
from ropewalk.metrics.counters import Metrics
from ropewalk.net.connection import OnSent
from ropewalk.runtime.overload import LoadShedder
from ropewalk.threads.pool import Item
from ropewalk.wsgi.exchange import Exchange, WsgiConnection
from ropewalk.wsgi.request_id import RequestIds
from ropewalk.wsgi.response_head import DefaultFields

if TYPE_CHECKING:
    from ropewalk.gunicorn_hooks.requests import RequestHooks


class RequestRunner:
    """`application` is the one that runs for every request that comes from now on; any thread may set it."""

    __slots__ = ("_default_fields", "_exchange", "_metrics", "_on_sent", "_request_ids", "_shedder", "application")

    def __init__(
        self,
        application: Any,
        metrics: Metrics,
        default_fields: DefaultFields,
        request_ids: RequestIds | None,
        shedder: LoadShedder,
        on_sent: OnSent | None,
        hooks: RequestHooks | None,
    ) -> None:
        self.application = application
        self._metrics = metrics
        self._default_fields = default_fields
        self._request_ids = request_ids
        self._shedder = shedder
        self._on_sent = on_sent
        self._exchange = Exchange if hooks is None else hooks.exchange

    def run(self, item: Item) -> bool:
        """Run the request of a connection; return whether there is a response to send."""
        connection: WsgiConnection = item  # type: ignore[assignment]  # only connections have requests
        reader, context = connection.request_reader, connection.context
        head, body = reader.head, reader.body
        assert head is not None
        assert context is not None
        trusted = context.trusted
        if body is not None:
            self._metrics.received(connection.body_octets)
        try:
            environ = context.request(head, body)
        except ProtocolError as error:  # an impossible value from a trusted proxy, or the wrong scheme
            connection.refuse(error)
            return False
        exchange = connection.exchange = self._exchange(connection, head, environ, self._default_fields)
        if self._request_ids is not None:
            exchange.request_id = self._request_ids.assign(environ, is_trusted=trusted is not None)
        if trusted is not None and "HTTP_X_REQUEST_START" in environ and self._shedder.is_late(connection, exchange):
            return False
        connection.on_sent = self._on_sent
        began = exchange.began = monotonic()
        has_response = exchange.run(self.application)
        ended = exchange.ended = monotonic()
        response = exchange.head
        if response is not None and not connection.is_refused:
            self._metrics.responded(exchange.thread, response.status_code, ended - began)
        return has_response

    def run_in_time(self, item: Item) -> bool:
        """In place of `run` with `--queue-timeout`."""
        if self._shedder.is_overdue(item):
            self._shedder.overflow(item)
            return False
        return self.run(item)
