"""Makes the record of each request for the access log, with where its time went. Only if there is an access log.

Runs in the threads of the pool, after a response has been sent.
"""

from __future__ import annotations

from time import monotonic

from ropewalk.http.status import reason_phrase
from ropewalk.logs.access_record import AccessRecord, AccessWriter
from ropewalk.net.connection_states import State
from ropewalk.net.timed_connection import TimedConnection
from ropewalk.wsgi.environ import Environ
from ropewalk.wsgi.exchange import Exchange, WsgiConnection
from ropewalk.wsgi.request_id import KEY


class AccessLogger:
    """Writes a line for each response. The connections of the service have to be `TimedConnection`s."""

    def __init__(self, log: AccessWriter, skip: tuple[str, ...] = ()) -> None:
        """`skip`: the starts of the User-Agents of health checks, which get no line unless they fail."""
        self._log = log
        self._skip = skip

    @property
    def lost(self) -> int:
        """The number of lines that could not be written."""
        return self._log.lost

    def sent(self, connection: WsgiConnection, is_complete: bool) -> None:
        """Write the line of a request whose response has been sent, or was aborted."""
        assert isinstance(connection, TimedConnection)
        exchange = connection.exchange
        assert exchange is not None
        head, began, ended = exchange.head, exchange.began, exchange.ended
        if self._skip and is_complete and head is not None and head.status < "5" and self._is_skipped(exchange.environ):
            return
        record = AccessRecord(
            exchange.environ,
            head.status if head is not None else "500 Internal Server Error",
            head.headers if head is not None else [],
            max(0, connection.sent_octets - exchange.content_from),
            monotonic() - began,
            is_complete,
            exchange.queue_seconds,
            connection.receiving_seconds,
            began - connection.whole_since,
            ended - began if ended else None,  # a streamed response may be sent before its application returned
            connection.request_octets,
            exchange.request_id or _proxys_request_id(connection),
        )
        self._log.write(record)

    def _is_skipped(self, environ: Environ) -> bool:
        agent: str = environ.get("HTTP_USER_AGENT", "")
        return agent.startswith(self._skip)

    def refused(self, connection: WsgiConnection, environ: Environ, request_id: str, status_code: int) -> None:
        """Write the line of a request to which the server itself responds, perhaps in place of the application."""
        assert isinstance(connection, TimedConnection)
        now = monotonic()
        record = AccessRecord(environ, f"{status_code} {reason_phrase(status_code)}", [], 0, 0.0, True)
        record.request_bytes = connection.request_octets
        record.request_id = request_id or _proxys_request_id(connection)
        if connection.state is not State.RUNNING:
            record.receiving = 0.0 if connection.part_since is None else now - connection.part_since
        else:
            record.receiving = connection.receiving_seconds
            record.waiting = now - connection.whole_since
        exchange: Exchange | None = connection.exchange
        if exchange is not None:
            record.queue = exchange.queue_seconds
            if exchange.began:
                record.waiting = exchange.began - connection.whole_since
                record.seconds = record.application = now - exchange.began
        self._log.write(record)


def _proxys_request_id(connection: WsgiConnection) -> str:
    """The id that came with the request, if any; for a server that assigns none."""
    head = connection.request_reader.head
    return "" if head is None else head.fields.get(KEY, "")
