"""A server in this process: listening sockets, connections, the application and the pool, put together.

This is the whole way of a request, told once: the pool takes a ready connection, which receives (`net.connection`) and
parses (`http.head`); `_run` here makes the environ and runs the application (`wsgi.exchange`), whose answer is encoded
(`http.answer`) and set on the connection; the pool has the connection send it and arm itself again.

It is as long as there are parts to be put together; what could stand alone does (`outfit`, `logbook`, `runs`).
"""

from __future__ import annotations

import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import inf
from select import EPOLLET, EPOLLIN
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from ropewalk.config.settings import Settings
from ropewalk.errors import ProtocolError
from ropewalk.http.chunked import ChunkLimits
from ropewalk.http.forwarded import TrustedNetworks
from ropewalk.http.head import HeadLimits
from ropewalk.logs.error_log import get_logger
from ropewalk.metrics.counters import Metrics, queue_seconds
from ropewalk.net.acceptor import LISTENING, Acceptor, WakeListener
from ropewalk.net.connection import Connection, OnSent
from ropewalk.net.connection_config import ConnectionConfig, ConnectionEvents
from ropewalk.net.connection_states import State
from ropewalk.net.timed_connection import TimedConnection
from ropewalk.runtime.factories import statsd_reporter, tls_context
from ropewalk.runtime.in_flight import InFlight, RunningRequest
from ropewalk.threads.parallelism import parallel_threads
from ropewalk.threads.pool import Item, Pool
from ropewalk.wsgi.environ import (
    ConnectionEnviron,
    Environ,
    TrustedPeers,
    connection_environ,
    listener_environ,
)
from ropewalk.wsgi.exchange import Exchange, WsgiConnection
from ropewalk.wsgi.request_id import RequestIds, with_request_id_field
from ropewalk.wsgi.response_head import DefaultFields
from ropewalk.wsgi.timeouts import RequestTimeouts

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from ropewalk.gunicorn_hooks.requests import RequestHooks
    from ropewalk.logs.access_log import AccessLog
    from ropewalk.metrics.snapshot import WorkerSnapshot
    from ropewalk.net.accept_balance import SharedCounts, WorkerSlot
    from ropewalk.net.handshake import Handshake
    from ropewalk.net.tls import TlsContext
    from ropewalk.runtime.access_logging import AccessLogger

log = get_logger()

DRAIN_LOOK = 0.02  # seconds between looks at what is left while draining
DRAIN_SILENCE = 0.5  # seconds a connection gets to send its next request, and be told to close, while draining
WITHOUT_REQUEST = frozenset({State.HANDSHAKE, State.IDLE})
WAKE_EVENTS = EPOLLIN | EPOLLET  # each ring is one event, whatever it was that rang before
RETRY_AFTER = 1  # seconds an overloaded server asks for; there is room again as soon as one request is done


class Drained(NamedTuple):
    """What became of the requests that were in flight when draining began, or came in meanwhile."""

    finished: int
    aborted: int


class Stats(NamedTuple):
    """What a server is doing, and what it has counted since it was made."""

    connections: int
    """Open connections; listening sockets do not count."""
    in_flight: int
    """Requests that the application is working on."""
    waiting: int
    """Requests that are read and wait for a thread."""
    active_threads: int
    """Threads that are not parked; one of them may be waiting for sockets."""
    finished: int
    """Requests that the application has returned from."""
    responses: Mapping[str, int]
    """Responses of the application, by class of their status: `2xx`."""
    refused: Mapping[str, int]
    """Responses of the server itself, by status code: `400`, `503`."""
    shed: Mapping[str, int]
    """Requests and connections that were refused for overload, by reason: `connections`, `waiting`, `queue-timeout`."""


class Service:
    """Serves `application` on `listeners`, which it closes when it ends; their files stay the caller's to remove."""

    def __init__(
        self,
        application: WSGIApplication,
        listeners: Sequence[socket.socket],
        settings: Settings,
        *,
        access_log: AccessLog | None = None,
        multiprocess: bool = False,
        errors: TextIO | None = None,
        tls: TlsContext | None = None,
        hooks: RequestHooks | None = None,
        shared_counts: SharedCounts | None = None,
    ) -> None:
        """`tls` is `tls_context(settings)`, where it was made already. Raises `ConfigError` when it cannot be."""
        # First: what may raise comes before what has to be closed.
        self._tls = tls if tls is not None else tls_context(settings)
        self._application = with_request_id_field(application) if settings.request_id == "answer" else application
        self._request_ids = RequestIds() if settings.request_id != "off" else None
        self._statsd = statsd_reporter(settings)
        self._metrics = Metrics() if self._statsd is None else self._statsd.metrics
        self._logbook: AccessLogger | None = None
        self._on_sent: OnSent | None = None
        if access_log is not None:
            from ropewalk.runtime.access_logging import AccessLogger

            self._logbook = AccessLogger(access_log)
            self._on_sent = self._logbook.sent
        self._default_fields = DefaultFields(settings.server_header, sends_request_id=settings.request_id == "answer")
        self._trusted = TrustedPeers(settings.forwarded_allow_ips, settings.forwarded_fields)
        self._max_connections = settings.limit_connections
        self._queue_timeout = settings.queue_timeout or inf
        is_timed = bool(settings.queue_timeout) or access_log is not None
        self._connection = TimedConnection if is_timed else Connection
        self._exchange = Exchange if hooks is None else hooks.exchange
        run = self._run_in_time if settings.queue_timeout else self._run
        self._pool = Pool(
            threads=settings.threads,
            run=run if hooks is None else hooks.wrap(run),
            overflow=self._overflow,
            max_waiting=settings.limit_waiting,
            parallelism=partial(parallel_threads, settings.workers),
            is_overdue=self._is_overdue if settings.queue_timeout else None,
        )
        self._runs = InFlight(self._pool, RequestTimeouts(settings.timeout, settings.timeout_for))
        self._proxy_protocol = settings.proxy_protocol
        self._proxies = TrustedNetworks(settings.proxy_allow_from)
        self._has_handshake = self._tls is not None or self._proxy_protocol != "off"
        self._shared_counts = shared_counts
        self._slot: WorkerSlot | None = None
        self._config = _connection_config(settings)
        self._events = self._connection_events()
        self._paused: set[Acceptor] = set()  # for want of descriptors; changed by single calls of any thread
        self._acceptors: dict[Acceptor, Environ] = {}
        for sock in listeners:
            acceptor = Acceptor(
                sock, self._pool.epoll, self._adopt, self._has_connections, self._paused, self._pool.call_later
            )
            self._acceptors[acceptor] = listener_environ(
                sock, errors or sys.stderr, is_multithread=settings.threads > 1, is_multiprocess=multiprocess
            )

    def _connection_events(self) -> ConnectionEvents[WsgiConnection]:
        return ConnectionEvents(
            register=self._pool.epoll.register,
            arm=self._pool.epoll.modify,
            queue=self._pool.queue,
            ready=self._pool.ready,
            call_soon=self._pool.call_soon,
            on_closed=self._forget if self._shared_counts is None else self._forget_and_tell,
            on_refused=self._refused,
        )

    # Life

    def start(self) -> None:
        """Start the threads and accept; returns at once."""
        if self._shared_counts is not None:
            self._slot = self._shared_counts.claim_slot(lambda: self._pool.connections)
            self._pool.watch(self._shared_counts.wake_fd, WakeListener(self._acceptors), WAKE_EVENTS)
        for acceptor in self._acceptors:
            acceptor.slot = self._slot
            self._pool.watch(acceptor.fd, acceptor, LISTENING)
        if self._slot is not None:
            self._slot.publish()
        if parallel_threads() > 1:
            from ropewalk.threads.free_threading import share_keys

            share_keys()
        self._pool.start()
        if self._statsd is not None:
            self._statsd.start()

    def announce_end(self) -> None:
        """Serve on, but let every answer from now on close its connection, and say so."""
        self._config.allow_keep_alive = False

    def drain(self, deadline: float) -> Drained:
        """Accept no more, finish what is in flight until `deadline` (monotonic seconds); blocks.

        What waits in the backlog is taken, and the listening sockets are closed; every answer closes its connection; an
        idle connection is closed once it was silent for a moment: one that is in use, as a proxy's, is told with its
        next answer instead, and does not meet a closed socket.
        """
        served = self._pool.finished
        for acceptor in self._acceptors:
            acceptor.drain()
        self._config.allow_keep_alive = False
        self._pool.nudge()
        began = time.monotonic()
        while self._close_idle(began) and time.monotonic() < deadline:
            time.sleep(DRAIN_LOOK)
        aborted = sum(connection.state not in WITHOUT_REQUEST for connection in self._connections())
        return Drained(self._pool.finished - served, aborted)

    def _close_idle(self, began: float) -> bool:
        """Close the connections that wait for a request; tell whether any connection is left."""
        now = time.monotonic()
        is_late = now >= began + DRAIN_SILENCE
        is_silent_from = now + self._config.idle_timeout - DRAIN_SILENCE  # the deadline of one that just became so
        is_left = False
        self._pool.refuse_overdue()
        for connection in self._connections():
            is_left = True
            connection.check_deadline(now)  # the pool sweeps no more once its listening sockets are gone
            if connection.state in WITHOUT_REQUEST and (
                is_late or (connection.requests and connection.deadline <= is_silent_from)
            ):
                connection.wake()
        return is_left

    def close(self) -> None:
        """End everything now: connections are cut, threads that are not inside the application have ended."""
        self._config.allow_keep_alive = False
        for acceptor in self._acceptors:
            acceptor.close()
        for connection in self._connections():
            connection.wake(socket.SHUT_RDWR)
        self._pool.stop()
        busy = [item for _, item, _ in self._pool.running()]
        for connection in self._connections():
            if connection not in busy:
                connection.close()
        if self._statsd is not None:
            self._statsd.stop()

    def served(self) -> int:
        """How many requests the application has returned from."""
        return self._pool.finished

    def running(self) -> list[RunningRequest]:
        """What runs now."""
        return self._runs.rows()

    def timeout_of(self, thread: int, since: float) -> float:
        """How many seconds that which `thread` has run since then may take; inf if it does not run any more."""
        return self._runs.timeout_of(thread, since)

    def interrupt(self, thread: int, since: float) -> bool:
        """Answer 504 for the request that `thread` has run since then, and raise in it; False if it was too late.

        Called from outside the pool, with what `running` told. An answer that has begun is left alone.
        """
        return self._runs.interrupt(thread, since)

    def _connections(self) -> Iterator[WsgiConnection]:
        return (item for item in list(self._pool.items.values()) if isinstance(item, Connection))

    # A connection's life

    def _adopt(self, sock: socket.socket, peer: Any, acceptor: Acceptor) -> None:
        listener = self._acceptors[acceptor]
        context: ConnectionEnviron | None = None
        handshake: Handshake[ConnectionEnviron] | None = None
        if self._has_handshake:
            if not self._may_connect(peer):
                log.debug("%s may not send the PROXY protocol's header", peer)
                sock.close()
                return
            from ropewalk.net.handshake import Handshake  # imports ssl, which plain HTTP does without

            make_context = partial(self._context_after_handshake, listener, peer)
            handshake = Handshake(
                sock, proxy_protocol=self._proxy_protocol, tls_context=self._tls, make_context=make_context
            )
        else:
            context = connection_environ(listener, peer, self._trusted)
        connection: WsgiConnection = self._connection(sock, peer, self._config, self._events, context, handshake)
        self._pool.add_connection(connection.fd, connection)
        if self._pool.connections > self._max_connections:
            self._shed(connection, "connections")
        else:
            self._pool.queue(connection)

    def _may_connect(self, peer: Any) -> bool:
        return self._proxy_protocol == "off" or self._proxies.trusts_peer(peer[0] if isinstance(peer, tuple) else "")

    def _context_after_handshake(
        self, listener: Environ, peer: Any, handshake: Handshake[ConnectionEnviron]
    ) -> ConnectionEnviron:
        context = connection_environ(listener, peer, self._trusted, handshake.proxy_header)
        context.base.update(handshake.variables)
        if handshake.variables:
            context.base["wsgi.url_scheme"] = "https"
        return context

    def _forget(self, connection: WsgiConnection, is_cut: bool) -> None:
        self._metrics.closed(connection.sent_octets, is_cut)
        # A descriptor that failed while it was made a TLS socket is closed by then, and perhaps another's.
        self._pool.remove_connection(connection.fd, connection)
        if self._paused:
            for acceptor in list(self._paused):
                acceptor.resume()

    def _forget_and_tell(self, connection: WsgiConnection, is_cut: bool) -> None:
        """In the place of `_forget` where other workers want to know."""
        self._forget(connection, is_cut)
        if self._slot is not None:
            self._slot.publish()

    def _has_connections(self) -> bool:
        return self._pool.connections > 0

    def _run(self, item: Item) -> bool:
        connection: WsgiConnection = item  # type: ignore[assignment]  # only connections ever become whole
        reader, context = connection.request_reader, connection.context
        head, body = reader.head, reader.body
        assert head is not None
        assert context is not None
        trusted = context.trusted
        if body is not None:
            self._metrics.received(connection.body_octets)
        try:
            environ = context.request(head, body)
        except ProtocolError as error:  # a trusted proxy says of the client what cannot be
            connection.refuse(error)
            return False
        exchange = connection.exchange = self._exchange(connection, head, environ, self._default_fields)
        if self._request_ids is not None:
            exchange.request_id = self._request_ids.assign(environ, is_trusted=trusted is not None)
        if trusted is not None and "HTTP_X_REQUEST_START" in environ and self._is_late(connection, exchange):
            return False
        connection.on_sent = self._on_sent
        began = exchange.began = monotonic()
        is_answered = exchange.run(self._application)
        ended = exchange.ended = monotonic()
        answer = exchange.head
        if answer is not None and not connection.is_refused:
            self._metrics.responded(exchange.thread, answer.status_code, ended - began)
        return is_answered

    def _run_in_time(self, item: Item) -> bool:
        """In the place of `_run` where `--queue-timeout` is set."""
        if self._is_overdue(item):
            self._shed(item, "queue-timeout")  # type: ignore[arg-type]  # as above
            return False
        return self._run(item)

    def _is_overdue(self, item: Item) -> bool:
        """Whether it has waited too long for a thread. Where `--queue-timeout` is set all connections are timed."""
        connection: TimedConnection[ConnectionEnviron, Exchange] = item  # type: ignore[assignment]
        return monotonic() - connection.whole_since > self._queue_timeout

    def _is_late(self, connection: WsgiConnection, exchange: Exchange) -> bool:
        """Count how long the request has waited since the proxy passed it on; shed it if that is too long."""
        seconds = queue_seconds(exchange.environ["HTTP_X_REQUEST_START"], time.time())
        if seconds is None:
            return False
        self._metrics.queued(seconds)
        exchange.queue_seconds = seconds
        if seconds <= self._queue_timeout or not isinstance(connection, TimedConnection):
            return False
        if seconds - connection.content_seconds <= self._queue_timeout:
            return False
        self._shed(connection, "queue-timeout")
        return True

    def _overflow(self, item: Item) -> None:
        reason = "queue-timeout" if self._queue_timeout < inf and self._is_overdue(item) else "waiting"
        self._shed(item, reason)  # type: ignore[arg-type]  # only connections are received from

    def _shed(self, connection: WsgiConnection, reason: str) -> None:
        """Refuse to serve: at once, and with an answer where one could be read."""
        self._metrics.shed(reason)
        if connection.state is State.HANDSHAKE:
            connection.close()  # before the handshake no answer could be read
            return
        connection.refuse(ProtocolError(503, "overloaded"), extra=f"Retry-After: {RETRY_AFTER}\r\n")

    # What is counted and logged

    def stats(self) -> Stats:
        """The numbers that a program with an embedded server may want. From any thread."""
        pool, counted = self._pool, self._metrics.counters()
        return Stats(
            connections=pool.connections,
            in_flight=sum(1 for _ in pool.running()),
            waiting=pool.waiting,
            active_threads=len(pool.threads) - pool.parked,
            finished=pool.finished,
            responses=counted["responses"],
            refused=counted["refused"],
            shed=counted["shed"],
        )

    def snapshot(self) -> WorkerSnapshot:
        """What the service has counted and how busy it is. Any thread."""
        now, pool = time.monotonic(), self._pool
        return {
            "counters": {
                **self._metrics.counters(connection.sent_octets for connection in self._connections()),
                "log_messages": log.counts(),
                "log_lost": {
                    "access": self._logbook.lost if self._logbook is not None else 0,
                    "error": log.lost,
                },
            },
            "gauges": {
                "in_flight": sum(1 for _ in pool.running()),
                "waiting": pool.waiting,
                "threads": {
                    "active": len(pool.threads) - pool.parked,
                    "parked": pool.parked,
                    "limit": pool.controller.limit,
                },
                "connections": dict(Counter(connection.state.value for connection in self._connections())),
            },
            "running": [
                {"thread": thread, "request": request, "seconds": round(now - since, 3)}
                for thread, request, since in self.running()
            ],
        }

    def _refused(self, connection: WsgiConnection, status_code: int) -> str:
        """Count and log an answer that the server itself makes, and return its field lines."""
        self._metrics.refused(status_code)
        if self._logbook is None and self._request_ids is None:
            return self._default_fields.for_error_response("")
        environ, request_id = self._known(connection)
        if self._logbook is not None:
            self._logbook.refused(connection, environ, request_id, status_code)
        return self._default_fields.for_error_response(request_id)

    def _known(self, connection: WsgiConnection) -> tuple[Environ, str]:
        """The environ and the id of a request that the application does not answer, as far as they are known."""
        exchange = connection.exchange
        if exchange is not None:  # in the application's place
            return exchange.environ, exchange.request_id
        context, head = connection.context, connection.head
        assert context is not None  # during the handshake no response is sent
        environ = context.partial(head)
        if head is not None and self._request_ids is not None:
            return environ, self._request_ids.assign(environ, is_trusted=context.trusted is not None)
        return environ, ""


def _connection_config(settings: Settings) -> ConnectionConfig:
    return ConnectionConfig(
        head_limits=HeadLimits(
            request_line=settings.limit_request_line,
            field_line=settings.limit_request_field_size,
            fields=settings.limit_request_fields,
            head=settings.limit_request_head,
        ),
        chunk_limits=ChunkLimits(content=settings.limit_request_body),
        body_memory=settings.body_memory,
        head_timeout=settings.request_head_timeout,
        idle_timeout=settings.keep_alive,
        body_timeout=settings.request_body_timeout,
        send_timeout=settings.response_timeout,
    )
