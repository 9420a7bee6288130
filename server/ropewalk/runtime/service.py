"""A server in this process: assembles listening sockets, connections, the application and the pool.

The life of a request: the pool takes a ready connection, which receives (`net.connection`) and parses (`http.head`);
`runtime.request_runner` makes the environ and runs the application (`wsgi.exchange`), whose response is encoded
(`wsgi.response_head`, `http.response`) and set on the connection; the pool has the connection send it, and arm itself
for the next request.

It is long because all parts of a connection's life are put together here, and nowhere else.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, TextIO

from ropewalk import forked
from ropewalk.config.settings import Settings
from ropewalk.http.chunked import ChunkLimits
from ropewalk.http.forwarded import TrustedNetworks
from ropewalk.http.head import HeadLimits
from ropewalk.http.underscores import UnderscoreNames
from ropewalk.logs.error_log import get_logger
from ropewalk.metrics.counters import Metrics
from ropewalk.net.acceptor import LISTENING, Acceptor, WakeListener
from ropewalk.net.body_budget import BodyBudget
from ropewalk.net.connection import Connection, OnSent
from ropewalk.net.connection_config import ConnectionConfig, ConnectionEvents
from ropewalk.net.disconnection import is_disconnected
from ropewalk.net.idle_closer import CONNECTIONS, DESCRIPTORS, IdleCloser, scarce_from
from ropewalk.net.request_reader import RequestLimits
from ropewalk.net.response_budget import ResponseBudget
from ropewalk.net.timed_connection import TimedConnection
from ropewalk.portable import EPOLLET, EPOLLIN
from ropewalk.process.worker.watchdog import Running
from ropewalk.runtime.descriptors import max_descriptors
from ropewalk.runtime.draining import IDLE_GRACE, Drained, drain
from ropewalk.runtime.factories import make_environ, statsd_reporter, tls_context
from ropewalk.runtime.in_flight import InFlight
from ropewalk.runtime.overload import LoadShedder
from ropewalk.runtime.refusals import Refusals
from ropewalk.runtime.request_runner import RequestRunner
from ropewalk.runtime.status import Stats, take_snapshot, take_stats
from ropewalk.runtime.streams import Streams
from ropewalk.threads.parallelism import parallel_threads
from ropewalk.threads.pool import Pool
from ropewalk.wsgi.dropped_fields import DroppedFields
from ropewalk.wsgi.environ import (
    CLIENT_DISCONNECTED,
    ConnectionEnviron,
    Environ,
    TrustedPeers,
    connection_environ,
    listener_environ,
)
from ropewalk.wsgi.exchange import WsgiConnection
from ropewalk.wsgi.request_id import RequestIds, with_request_id_field
from ropewalk.wsgi.response_head import DefaultFields
from ropewalk.wsgi.timeouts import RequestTimeouts

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from ropewalk.gunicorn_hooks.requests import RequestHooks
    from ropewalk.logs.access_record import AccessWriter
    from ropewalk.metrics.snapshot import WorkerSnapshot
    from ropewalk.net.accept_balance import SharedCounts, WorkerSlot
    from ropewalk.net.handshake import Handshake
    from ropewalk.net.tls import TlsContext
    from ropewalk.runtime.access_logging import AccessLogger

log = get_logger()

WAKE_EVENTS = EPOLLIN | EPOLLET  # an event each time that another worker writes, whatever it wrote before


class Service:
    """Serves `application` on `listeners`, and closes them at the end. Socket files are left to the caller."""

    def __init__(
        self,
        application: WSGIApplication,
        listeners: Sequence[socket.socket],
        settings: Settings,
        *,
        access_log: AccessWriter | None = None,
        multiprocess: bool = False,
        errors: TextIO | None = None,
        tls: TlsContext | None = None,
        hooks: RequestHooks | None = None,
        shared_counts: SharedCounts | None = None,
    ) -> None:
        """`tls` is `tls_context(settings)`, if the caller has made it. Raises `ConfigError` if that fails."""
        # First, since what may raise comes before what has to be closed.
        self._tls = tls if tls is not None else tls_context(settings)
        self._sends_request_id = settings.request_id == "response"
        self._request_ids = RequestIds() if settings.request_id != "off" else None
        self._statsd = statsd_reporter(settings)
        self._metrics = Metrics() if self._statsd is None else self._statsd.metrics
        self._access_logger: AccessLogger | None = None
        on_sent: OnSent | None = None
        if access_log is not None:
            from ropewalk.runtime.access_logging import AccessLogger

            self._access_logger = AccessLogger(access_log, settings.access_log_skip)
            on_sent = self._access_logger.sent
        self._default_fields = DefaultFields(settings.server_header, sends_request_id=self._sends_request_id)
        dropped = DroppedFields()
        self._trusted = TrustedPeers(settings.forwarded_allow_ips, settings.forwarded_fields, dropped)
        self._make_environ = make_environ(settings)
        self._max_connections = settings.limit_connections
        self._shedder = LoadShedder(self._metrics, settings.queue_timeout)
        is_timed = bool(settings.queue_timeout) or access_log is not None
        self._connection = TimedConnection if is_timed else Connection
        self._runner = RequestRunner(
            None, self._metrics, self._default_fields, self._request_ids, self._shedder, on_sent, hooks
        )
        self.set_application(application)
        self._pool = self._make_pool(settings, hooks)
        self._refusals = Refusals(
            self._metrics, self._default_fields, self._request_ids, self._access_logger, self._pool.call_later
        )
        self._in_flight = InFlight(
            self._pool, RequestTimeouts(settings.timeout, settings.timeout_for, settings.stream_timeout)
        )
        self._proxy_protocol = settings.proxy_protocol
        self._proxies = TrustedNetworks(settings.proxy_allow_from)
        self._has_handshake = self._tls is not None or self._proxy_protocol != "off"
        self._shared_counts = shared_counts
        self._slot: WorkerSlot | None = None
        self._config = _connection_config(settings, dropped)
        self._events = self._connection_events()
        self._idle_closer = IdleCloser(self._connections, self._config.idle_timeout, self._metrics.closed_idle)
        self._scarce_from = scarce_from(max_descriptors())
        self._paused: set[Acceptor] = set()  # because no descriptor is free; changed by atomic calls of any thread
        self._acceptors: dict[Acceptor, Environ] = {}
        self._accepts = True
        for sock in listeners:
            self._acceptors[self._make_acceptor(sock)] = listener_environ(
                sock, errors or sys.stderr, is_multithread=settings.threads > 1, is_multiprocess=multiprocess
            )

    def _make_pool(self, settings: Settings, hooks: RequestHooks | None) -> Pool:
        run = self._runner.run_in_time if settings.queue_timeout else self._runner.run
        return Pool(
            threads=settings.threads,
            run=run if hooks is None else hooks.wrap(run),
            overflow=self._shedder.overflow,
            max_waiting=settings.limit_waiting,
            parallelism=partial(parallel_threads, settings.workers),
            is_overdue=self._shedder.is_overdue if settings.queue_timeout else None,
            stream_threads=settings.stream_threads,
            streams=Streams(settings.threads, settings.stream_threads),
        )

    def _make_acceptor(self, sock: socket.socket) -> Acceptor:
        return Acceptor(
            sock,
            self._pool.epoll,
            self._open_connection,
            self.has_connections,
            self._paused,
            self._pool.call_later,
            partial(self._idle_closer.make_room, DESCRIPTORS),
        )

    def _connection_events(self) -> ConnectionEvents[WsgiConnection]:
        return ConnectionEvents(
            register=self._pool.epoll.register,
            arm=self._pool.epoll.modify,
            queue=self._pool.queue,
            ready=self._pool.ready,
            call_soon=self._pool.call_soon,
            on_closed=self._on_closed if self._shared_counts is None else self._on_closed_and_publish,
            on_refused=self._refusals.on_refused,
            on_disconnected=self._refusals.on_disconnected,
        )

    def set_application(self, application: WSGIApplication) -> None:
        """Have this application run for every request that comes from now on. Any thread."""
        self._runner.application = with_request_id_field(application) if self._sends_request_id else application

    # Start and end

    def start(self, *, accepts: bool = True) -> None:
        """Start the threads and, unless the caller does it (`open_connection`), accept; returns at once."""
        self._accepts = accepts
        if self._shared_counts is not None:
            self._slot = self._shared_counts.claim_slot(lambda: self._pool.connections)
            self._pool.watch(self._shared_counts.wake_fd, WakeListener(self._acceptors), WAKE_EVENTS)
        for acceptor in self._acceptors:
            acceptor.slot = self._slot
            if accepts:
                self._pool.watch(acceptor.fd, acceptor, LISTENING)
        if self._slot is not None:
            self._slot.publish()
        if parallel_threads() > 1:
            from ropewalk.threads.free_threading import share_keys_once

            share_keys_once()
        forked.on_fork(self._release_in_child)
        self._pool.start()
        if self._statsd is not None:
            self._statsd.start()

    def announce_end(self) -> None:
        """Keep serving, but have every response close its connection from now on."""
        self._config.allow_keep_alive = False

    def drain(self, deadline: float, idle_grace: float = IDLE_GRACE) -> Drained:
        """Accept no more, and finish what is in flight until `deadline` (monotonic seconds); blocks.

        A connection is closed once it has been idle for `idle_grace` seconds.
        """
        acceptors = self._acceptors if self._accepts else ()
        return drain(self._pool, self._config, acceptors, self._connections, deadline, idle_grace)

    def close(self) -> None:
        """End everything now: close all connections, and end the threads that are not inside the application."""
        forked.cancel(self._release_in_child)
        self._config.allow_keep_alive = False
        for acceptor in self._acceptors:
            acceptor.close()
        for connection in self._connections():
            connection.end()
        self._pool.stop()
        busy = [item for _, item, _ in self._pool.running()]
        for connection in self._connections():
            if connection not in busy:
                connection.close()
        self._refusals.report()
        if self._statsd is not None:
            self._statsd.stop()

    def _release_in_child(self) -> None:
        """Give up, in a process that the application forked, what the server goes on to use.

        Only close descriptors: whatever else is done to an epoll or a socket is done to the parent's as well.
        """
        self._config.is_forked_child = True
        for acceptor in self._acceptors:
            acceptor.sock.close()
        running = (item for _, item, _ in self._pool.running() if isinstance(item, Connection))
        for connection in {*self._connections(), *running}:  # whose peer may be gone
            connection.release_in_child()
            for exchange in connection.producing:
                exchange.release_in_child()
        self._pool.release_in_child()
        if self._shared_counts is not None:
            self._shared_counts.close()

    def served(self) -> int:
        """The number of requests that the application has finished."""
        return self._pool.finished

    def running(self) -> list[Running]:
        """The requests that are running."""
        return self._in_flight.rows()

    def timeout_of(self, thread: int, since: float) -> float:
        """Seconds that the request which `thread` has run since then may take; inf if it has ended."""
        return self._in_flight.timeout_of(thread, since)

    def capacity(self) -> int:
        """How many requests can run at once: ordinary ones, and streams beside them."""
        return self._pool.capacity

    def interrupt(self, thread: int, since: float) -> bool:
        """End the response to the request that `thread` has run since then, and raise an exception in the thread.

        A response that has not begun is a 504; one that is streamed ends incomplete. Called from outside the pool, with
        values from `running`. Returns False if that is not possible at the moment, or too late.
        """
        return self._in_flight.interrupt(thread, since)

    def _connections(self) -> list[WsgiConnection]:
        return [item for item in list(self._pool.items.values()) if isinstance(item, Connection)]

    # Connections and requests

    def open_connection(self, sock: socket.socket, peer: Any) -> None:
        """Serve a connection of the first listener that the caller has accepted; it does not block. Any thread."""
        self._open_connection(sock, peer, next(iter(self._acceptors)))
        self._pool.nudge()

    def has_connections(self) -> bool:
        return self._pool.connections > 0

    def _open_connection(self, sock: socket.socket, peer: Any, acceptor: Acceptor) -> None:
        listener = self._acceptors[acceptor]
        context: ConnectionEnviron | None = None
        handshake: Handshake[ConnectionEnviron] | None = None
        if self._has_handshake:
            if not self._may_connect(peer):
                self._refusals.on_disconnected(peer, "not in --proxy-allow-from")
                sock.close()
                return
            from ropewalk.net.handshake import Handshake  # imports ssl, which plain HTTP does without

            make_context = partial(self._context_after_handshake, listener, peer)
            handshake = Handshake(
                sock, proxy_protocol=self._proxy_protocol, tls_context=self._tls, make_context=make_context
            )
        else:
            context = connection_environ(listener, peer, self._trusted, None, self._make_environ)
            context.base[CLIENT_DISCONNECTED] = MethodType(is_disconnected, sock)  # takes a third of a partial's memory
        connection: WsgiConnection = self._connection(sock, peer, self._config, self._events, context, handshake)
        self._pool.add_connection(connection.fd, connection)
        if connection.fd >= self._scarce_from:
            self._idle_closer.make_room(DESCRIPTORS)
        if self._is_one_too_many() and not self._idle_closer.make_room(CONNECTIONS):
            self._shedder.shed(connection, "connections")
        else:
            self._pool.queue(connection)

    def _is_one_too_many(self) -> bool:
        return self._pool.connections - len(self._idle_closer.closing) > self._max_connections

    def _may_connect(self, peer: Any) -> bool:
        return self._proxy_protocol == "off" or self._proxies.trusts_peer(peer[0] if isinstance(peer, tuple) else "")

    def _context_after_handshake(
        self, listener: Environ, peer: Any, handshake: Handshake[ConnectionEnviron]
    ) -> ConnectionEnviron:
        context = connection_environ(listener, peer, self._trusted, handshake.proxy_header, self._make_environ)
        context.base.update(handshake.variables)
        context.base[CLIENT_DISCONNECTED] = MethodType(is_disconnected, handshake.sock)
        if handshake.variables:
            context.base["wsgi.url_scheme"] = "https"
        return context

    def _on_closed(self, connection: WsgiConnection, is_aborted: bool) -> None:
        self._metrics.closed(connection.sent_octets, is_aborted)
        # If making a TLS socket of it failed, the descriptor is closed, and may be another connection's by now.
        self._pool.remove_connection(connection.fd, connection)
        if self._idle_closer.closing:
            self._idle_closer.closing.discard(connection)
        if self._paused:
            for acceptor in list(self._paused):
                acceptor.resume()

    def _on_closed_and_publish(self, connection: WsgiConnection, is_aborted: bool) -> None:
        """In place of `_on_closed` if there are other workers."""
        self._on_closed(connection, is_aborted)
        if self._slot is not None:
            self._slot.publish()

    # Monitoring

    def stats(self) -> Stats:
        """What an embedding program may want to know."""
        return take_stats(self._pool, self._metrics)

    def snapshot(self) -> WorkerSnapshot:
        """What the service has counted and how busy it is. Any thread."""
        lost = self._access_logger.lost if self._access_logger is not None else 0
        return take_snapshot(self._pool, self._metrics, self._connections, self.running(), lost, self._config)


def _connection_config(settings: Settings, dropped: DroppedFields) -> ConnectionConfig:
    bodies = settings.limit_request_bodies
    return ConnectionConfig(
        request_limits=RequestLimits(
            HeadLimits(
                request_line=settings.limit_request_line,
                field_line=settings.limit_request_field_size,
                fields=settings.limit_request_fields,
                head=settings.limit_request_head,
                underscores=UnderscoreNames(settings.header_map, settings.forwarder_headers, dropped.report_underscore),
            ),
            ChunkLimits(content=settings.limit_request_body),
            settings.body_memory,
            BodyBudget(bodies and max(bodies, settings.limit_request_body)),
        ),
        response_budget=ResponseBudget(settings.response_memory, settings.limit_buffered_responses),
        head_timeout=settings.request_head_timeout,
        idle_timeout=settings.keep_alive,
        body_timeout=settings.request_body_timeout,
        send_timeout=settings.response_timeout,
    )
