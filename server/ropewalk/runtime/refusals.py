"""Responses of the server itself (400, 408, 413, 503, 504 …): counted, logged, and given their fields.

The error log has a line for each, up to a number of lines in each minute: any peer can send what has to be refused.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ropewalk.errors import OverloadError, ProtocolError
from ropewalk.logs.error_log import get_logger
from ropewalk.metrics.counters import Metrics
from ropewalk.wsgi.environ import Environ
from ropewalk.wsgi.exchange import WsgiConnection
from ropewalk.wsgi.request_id import RequestIds
from ropewalk.wsgi.response_head import DefaultFields

if TYPE_CHECKING:
    from ropewalk.runtime.access_logging import AccessLogger

MAX_LINES = 10
"""For each status, until `SECONDS` after the first: enough to see a pattern, and nothing that fills a disk."""

SECONDS = 60.0

SHOWN_CHARACTERS = 200
"""Of a request line, or of a list of addresses."""

RETRY_AFTER = 1
"""Seconds: an overloaded server has room again as soon as one request is done."""

GATEWAY_TIMEOUT = 504
"""Its reason is logged with the stacks of all threads (`process.worker.watchdog`)."""

log = get_logger()


class Refusals:
    """Used by all threads, each for the connection that it holds."""

    def __init__(
        self,
        metrics: Metrics,
        default_fields: DefaultFields,
        request_ids: RequestIds | None,
        access_logger: AccessLogger | None,
        call_later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        """`call_later(seconds, call)` has any thread call `call`."""
        self._metrics = metrics
        self._default_fields = default_fields
        self._request_ids = request_ids
        self._access_logger = access_logger
        self._call_later = call_later
        self._lock = threading.Lock()
        """Protects the counts, by status or kind, since the first refusal of this minute."""
        self._counts: Counter[str] = Counter()

    def on_refused(self, connection: WsgiConnection, error: ProtocolError) -> tuple[str, str]:
        """Count and log a response of the server itself, for this reason; return its field lines, and the request's id,
        "" if that is not known."""
        self._metrics.refused(error.status_code)
        request_id = self._log(connection, error)
        fields = self._default_fields.for_error_response(request_id)
        if isinstance(error, OverloadError):
            self._metrics.shed(error.reason)
            fields += f"Retry-After: {RETRY_AFTER}\r\n"
        return fields, request_id

    def _log(self, connection: WsgiConnection, error: ProtocolError) -> str:
        """Returns the request's id."""
        is_shown = error.status_code != GATEWAY_TIMEOUT and self._is_shown(str(error.status_code))
        is_logged = is_shown or self._access_logger is not None or self._request_ids is not None
        if not is_logged and connection.exchange is None:  # what is refused in numbers costs little
            return ""
        environ, request_id = self._identify(connection)
        if is_shown:
            log.warning("%s", _describe(connection, environ, error), request_id=request_id)
        if self._access_logger is not None:
            self._access_logger.refused(connection, environ, request_id, error.status_code)
        return request_id

    def on_disconnected(self, peer: Any, reason: str) -> None:
        """Log that a peer was disconnected before its first request, without a response."""
        if self._is_shown("no response"):
            log.warning("Disconnected %s: %s", peer[0] if isinstance(peer, tuple) else "a Unix socket's peer", reason)

    def report(self) -> None:
        """Log how many refusals had no line of their own since the last report."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        more = {kind: count - MAX_LINES for kind, count in sorted(counts.items()) if count > MAX_LINES}
        if more:
            log.warning("Refused without a line each: %s", ", ".join(f"{more[kind]} with {kind}" for kind in more))

    def _is_shown(self, kind: str) -> bool:
        """Count a refusal; whether it gets a line."""
        with self._lock:
            is_first = not self._counts
            self._counts[kind] += 1
            is_shown = self._counts[kind] <= MAX_LINES
        if is_first:
            self._call_later(SECONDS, self.report)
        return is_shown

    def _identify(self, connection: WsgiConnection) -> tuple[Environ, str]:
        """The environ and the id of the request, as far as they are known."""
        exchange = connection.exchange
        if exchange is not None:  # in place of the application
            return exchange.environ, exchange.logged_request_id
        context, reader = connection.context, connection.request_reader
        assert context is not None  # during the handshake no response is sent
        environ = context.partial(reader.head, reader.valid_request_line())
        if reader.head is not None and self._request_ids is not None:
            return environ, self._request_ids.assign(environ, is_trusted=context.trusted is not None)
        return environ, ""


def _describe(connection: WsgiConnection, environ: Environ, error: ProtocolError) -> str:
    client = environ.get("REMOTE_ADDR") or "a Unix socket's peer"
    forwarded = environ.get("HTTP_X_FORWARDED_FOR")
    if forwarded and connection.context is not None and connection.context.trusted is not None:
        client = f"{client} (forwarded for {forwarded[:SHOWN_CHARACTERS]!r})"
    method, what = environ.get("REQUEST_METHOD"), "a request"
    if method:
        what = f"{method} {str(environ.get('RAW_URI'))[:SHOWN_CHARACTERS]!r}"
    return f"Refused {what} from {client} with {error}"
