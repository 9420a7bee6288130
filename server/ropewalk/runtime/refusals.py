"""Responses of the server itself (400, 408, 413, 503, 504 …): counted, logged, and given their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ropewalk.metrics.counters import Metrics
from ropewalk.wsgi.environ import Environ
from ropewalk.wsgi.exchange import WsgiConnection
from ropewalk.wsgi.request_id import RequestIds
from ropewalk.wsgi.response_head import DefaultFields

if TYPE_CHECKING:
    from ropewalk.runtime.access_logging import AccessLogger


class Refusals:
    """Used by all threads, each for the connection that it holds."""

    def __init__(
        self,
        metrics: Metrics,
        default_fields: DefaultFields,
        request_ids: RequestIds | None,
        access_logger: AccessLogger | None,
    ) -> None:
        self._metrics = metrics
        self._default_fields = default_fields
        self._request_ids = request_ids
        self._access_logger = access_logger

    def on_refused(self, connection: WsgiConnection, status_code: int) -> str:
        """Count and log a response of the server itself with this status; return its field lines."""
        self._metrics.refused(status_code)
        if self._access_logger is None and self._request_ids is None:
            return self._default_fields.for_error_response("")
        environ, request_id = self._identify(connection)
        if self._access_logger is not None:
            self._access_logger.refused(connection, environ, request_id, status_code)
        return self._default_fields.for_error_response(request_id)

    def _identify(self, connection: WsgiConnection) -> tuple[Environ, str]:
        """The environ and the id of the request, as far as they are known."""
        exchange = connection.exchange
        if exchange is not None:  # in place of the application
            return exchange.environ, exchange.request_id
        context, head = connection.context, connection.head
        assert context is not None  # during the handshake no response is sent
        environ = context.partial(head)
        if head is not None and self._request_ids is not None:
            return environ, self._request_ids.assign(environ, is_trusted=context.trusted is not None)
        return environ, ""
