"""What the access log is told of each request, and where its time went. Made only where there is such a log.

Runs in the threads of the pool: `run` in place of `Exchange.run`, the rest when an answer is out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from time import monotonic
from wsgiref.types import WSGIApplication

from ropewalk.http.status import reason_phrase
from ropewalk.net.connection import Connection
from ropewalk.net.states import State
from ropewalk.net.timed import TimedConnection
from ropewalk.observe.access import AccessLog
from ropewalk.observe.format import AccessRecord
from ropewalk.wsgi.environ import Environ
from ropewalk.wsgi.exchange import Exchange


@dataclass(slots=True)
class Times:
    """Of one request, in seconds."""

    began: float  # monotonic: of the application
    receiving: float
    waiting: float
    received_octets: int
    queue: float | None
    application: float | None = None  # once it is done; an answer may be out before


class Logbook:
    """Between the service, whose connections then have to be `TimedConnection`s, and the access log."""

    def __init__(self, log: AccessLog) -> None:
        self._log = log

    @property
    def lost(self) -> int:
        """How many lines could not be written."""
        return self._log.lost

    def run(self, connection: Connection, exchange: Exchange, application: WSGIApplication, began: float) -> bool:
        """Run the exchange, and have the line written when its answer is out."""
        assert isinstance(connection, TimedConnection)
        times = connection.times = Times(
            began=began,
            receiving=connection.receiving_seconds,
            waiting=began - connection.whole_since,
            received_octets=connection.received_octets,
            queue=exchange.environ.get("ropewalk.queue_seconds"),
        )
        connection.on_sent = partial(self._sent, exchange, times)
        is_answered = exchange.run(application)
        times.application = monotonic() - began
        return is_answered

    def _sent(self, exchange: Exchange, times: Times, connection: Connection, is_complete: bool) -> None:
        assert isinstance(connection, TimedConnection)
        connection.times = None
        head = exchange.head
        record = AccessRecord(
            environ=exchange.environ,
            status=head.status if head is not None else "500 Internal Server Error",
            headers=head.headers if head is not None else [],
            body_bytes=max(0, connection.sent_octets - exchange.content_from),
            seconds=monotonic() - times.began,
            complete=is_complete,
            queue=times.queue,
            application=times.application,
            receiving=times.receiving,
            waiting=times.waiting,
            received_octets=times.received_octets,
        )
        self._log.write(record)

    def refused(self, connection: Connection, environ: Environ, status_code: int) -> None:
        """Write the line of an answer that the server itself makes, perhaps in the place of an application."""
        assert isinstance(connection, TimedConnection)
        now = monotonic()
        record = AccessRecord(environ, f"{status_code} {reason_phrase(status_code)}", [], 0, 0.0, True)
        record.received_octets = connection.received_octets
        if connection.state is State.RUNNING:
            record.receiving = connection.receiving_seconds
            record.waiting = now - connection.whole_since
        else:
            record.receiving = 0.0 if connection.part_since is None else now - connection.part_since
        times = connection.times
        if times is None:
            record.queue = environ.get("ropewalk.queue_seconds")
        else:
            record.queue, record.waiting = times.queue, times.waiting
            record.seconds = record.application = now - times.began
        self._log.write(record)
