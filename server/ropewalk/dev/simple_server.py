"""The interface of wsgiref.simple_server, served by Ropewalk.

The classes are subclasses of the standard library's, so that what a program knows of those holds: their attributes, how
they bind, the `with` block. What serves is another: a `Service` receives and parses requests and sends responses. The
application runs in the thread that serves, one request at a time, as wsgiref runs it, or in several threads if the
class of the server is a `ThreadingMixIn`.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, cast
from wsgiref import simple_server as original

from ropewalk.cli.stdio import print_error, print_out
from ropewalk.config.settings import Settings, make_settings
from ropewalk.dev.handlers import (
    REFUSED_LINE,
    RequestFacts,
    above,
    refuse_other_methods,
    refuse_overrides,
    refused_line,
)
from ropewalk.logs.error_log import ErrorLog, logging_to
from ropewalk.logs.program_logs import ProgramLog
from ropewalk.net.tls import Certificate, TlsConfig, TlsContext
from ropewalk.runtime.caller_thread import CallerThread, in_caller_thread
from ropewalk.runtime.service import Service
from ropewalk.wsgi.environ import UnprocessedEnviron

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from wsgiref.types import StartResponse, WSGIApplication

    from ropewalk.errors import ProtocolError
    from ropewalk.logs.access_record import AccessRecord
    from ropewalk.net.connection_config import ConnectionEvents
    from ropewalk.wsgi.exchange import WsgiConnection

KEEP_ALIVE = 5
"""Seconds that `serve_forever` keeps an idle connection."""

FINISH_INTERVAL = 0.005
"""Seconds between checks whether the last request is finished; what runs of it here ends the wait."""

SEND_SECONDS = 0.1
"""For what the last responses have not sent yet."""

HONOURED = frozenset(
    {"address_string", "get_environ", "get_stderr", "log_date_time_string", "log_error", "log_message", "log_request"}
)
"""Methods of a request handler that are called here."""

REPLACED = frozenset({"finish_request", "process_request", "shutdown_request", "close_request"})
"""Methods of a server that are not: no thread waits for a request of one connection."""


class WSGIRequestHandler(RequestFacts, original.WSGIRequestHandler):
    """What a program may want to know or change of a request: its environ, and its line in the log."""

    server: WSGIServer

    def get_environ(self) -> dict[str, Any]:
        """The environ that the application gets, with what the program has put into `server.base_environ`."""
        own = {name: value for name, value in self.server.base_environ.items() if name not in self.server.usual_environ}
        return {**self.environ, **own}


class ReportingService(Service):
    """Calls a function when a connection has been closed, and leaves the fields of proxies to the program."""

    on_connection_closed = staticmethod(lambda: None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._make_environ = UnprocessedEnviron  # the original knows no proxy

    def _connection_events(self) -> ConnectionEvents[WsgiConnection]:
        events = super()._connection_events()
        events.on_refused = self._on_refused
        return events

    def _on_refused(self, connection: WsgiConnection, error: ProtocolError) -> tuple[str, str]:
        if connection.context is not None and connection.head is None:
            connection.context.base[REFUSED_LINE] = refused_line(bytes(connection.request_reader.buffer))
        return self._refusals.on_refused(connection, error)

    def _on_closed(self, connection: Any, is_aborted: bool) -> None:
        super()._on_closed(connection, is_aborted)
        self.on_connection_closed()


class WSGIServer(original.WSGIServer):
    """A server for one application, which may be exchanged while it serves (`set_app`)."""

    tls: TlsContext | None = None
    """What wraps connections; by default the context of a socket that the program has wrapped itself."""

    def __init__(
        self,
        server_address: tuple[str, int],
        RequestHandlerClass: type[BaseHTTPRequestHandler] = WSGIRequestHandler,  # noqa: N803 - the original's name
        bind_and_activate: bool = True,
    ) -> None:
        """Raises TypeError if one of the classes overrides what is not called here, OSError as the original does."""
        if isinstance(self, getattr(socketserver, "ForkingMixIn", ())):
            raise TypeError(f"{type(self).__name__}: no process is forked for a request; use ThreadingMixIn")
        refuse_overrides(type(self), REPLACED, WSGIServer)
        handler_class = self._adapt_handler(RequestHandlerClass)
        self.application: WSGIApplication | None = None
        self._caller = CallerThread()
        self._services: dict[bool, Service] = {}
        self._must_end = False
        self._has_ended = threading.Event()
        super().__init__(server_address, handler_class, bind_and_activate)

    def setup_environ(self) -> None:
        """Fill `base_environ`; what the program adds later is in each environ."""
        super().setup_environ()
        self.usual_environ = frozenset(self.base_environ)

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until `shutdown`, which another thread calls; `service_actions` is called every `poll_interval`.

        A request that the application has begun is finished.
        """
        service = self._service(keeps_alive=True)
        self._has_ended.clear()
        self._caller.watch(self.fileno())
        try:
            try:
                while not self._must_end:
                    if self._caller.run(poll_interval):
                        self._accept(service)
                    self.service_actions()
            finally:
                self._caller.unwatch(self.fileno())
            self._finish()
        finally:
            self._must_end = False
            self._has_ended.set()

    def _finish(self) -> None:
        """Finish the request that the application has begun here; those in threads are left to `server_close`."""
        while not self._is_threaded and any(service.running() for service in self._services.values()):
            self._caller.run(FINISH_INTERVAL)

    def _finish_in_threads(self, seconds: float, idle_grace: float = FINISH_INTERVAL) -> None:
        """Wait for the requests that run. Streams are not waited for: a page that has one open may never end it.

        A connection that has just been accepted may still send a request, within `idle_grace` seconds.
        """
        deadline = time.monotonic() + seconds
        for service in self._services.values():
            service.announce_end()
            while not all(each.is_streaming for each in service.running()) and time.monotonic() < deadline:
                time.sleep(FINISH_INTERVAL)
            service.drain(time.monotonic() + SEND_SECONDS + idle_grace, idle_grace)

    def shutdown(self) -> None:
        """Have `serve_forever` return, and wait until it has."""
        self._must_end = True
        self._caller.wake()
        self._has_ended.wait()

    def handle_request(self) -> None:
        """Serve one request on a connection of its own; `handle_timeout` after `timeout` seconds without one."""
        service = self._service(keeps_alive=False)
        ends = None if self.timeout is None else time.monotonic() + self.timeout
        self._caller.watch(self.fileno())
        try:
            while not self._caller.run(None if ends is None else max(0.0, ends - time.monotonic())):
                if ends is not None and time.monotonic() >= ends:
                    self.handle_timeout()
                    return
        finally:
            self._caller.unwatch(self.fileno())
        if self._accept(service):
            while service.has_connections():
                self._caller.run(None)

    def server_close(self) -> None:
        """Close the listening socket and every connection."""
        self._caller.close()
        services, self._services = self._services, {}  # another thread may close it too
        for service in services.values():
            service.close()
        super().server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection. A socket that the program has wrapped in TLS is not: its handshake would block."""
        return socket.socket.accept(self.socket)

    # What ropewalk.dev.serving does in its own way

    def _adapt_handler(self, given: type[BaseHTTPRequestHandler]) -> type[RequestFacts]:
        """The class of the program, above the one here. Raises TypeError."""
        if not issubclass(given, original.WSGIRequestHandler):
            raise TypeError(f"{given.__name__}: must be a subclass of WSGIRequestHandler")
        own: type[WSGIRequestHandler] = above(given, WSGIRequestHandler, original.WSGIRequestHandler)
        refuse_other_methods(own, HONOURED, original.WSGIRequestHandler, WSGIRequestHandler)
        return own

    def _settings(self, *, keeps_alive: bool) -> Settings:
        more = {} if self._is_threaded else {"threads": 1}
        return make_settings(keep_alive=KEEP_ALIVE if keeps_alive else 0, timeout=0, **more)

    def _respond(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        handler = cast("WSGIRequestHandler", self.handler(environ))
        environ = handler.get_environ()
        environ["wsgi.errors"] = handler.get_stderr()
        application = self.get_app()
        if application is None:
            raise RuntimeError("the server has no application: set_app")
        return application(environ, start_response)

    def _log_response(self, record: AccessRecord) -> None:
        self.handler(record.environ).log_request(record.status.partition(" ")[0], record.body_bytes)

    def _error_log(self) -> ErrorLog:
        return _Log()

    # The same for both

    @property
    def _is_threaded(self) -> bool:
        return isinstance(self, ThreadingMixIn)

    def _service(self, *, keeps_alive: bool) -> Service:
        """What serves the connections, started at its first use: one that keeps them, and one that closes each."""
        if keeps_alive not in self._services:
            application = self._respond if self._is_threaded else in_caller_thread(self._respond, self._caller)
            with logging_to(self._error_log()):
                service = ReportingService(
                    application,
                    [socket.fromfd(self.fileno(), self.address_family, self.socket_type)],  # the service closes it
                    self._settings(keeps_alive=keeps_alive),
                    access_log=_HandlerLog(self),
                    tls=self.tls or _tls_of(self.socket),
                )
                service.on_connection_closed = self._caller.wake
                service.start(accepts=False)
            self._services[keeps_alive] = service
        return self._services[keeps_alive]

    def _accept(self, service: Service) -> bool:
        """Take the next connection, unless it has gone or `verify_request` refuses it."""
        try:
            sock, peer = self.get_request()
        except OSError:
            return False
        if isinstance(sock, ssl.SSLSocket):
            raise TypeError("get_request returned a TLS socket; wrap the socket of the server instead")
        if not self.verify_request(sock, peer):
            sock.close()
            return False
        sock.setblocking(False)
        service.open_connection(sock, peer)
        return True

    def handler(self, environ: dict[str, Any]) -> RequestFacts:
        """The request handler for a request."""
        return cast("type[RequestFacts]", self.RequestHandlerClass)(environ, self)


class _Log(ProgramLog):
    """To what is standard error at the moment, without a head of their own: between the original's lines."""

    def __init__(self) -> None:
        super().__init__(lambda _, text: sys.stderr.write(f"{text}\n"), "info", "plain")


class _HandlerLog:
    """In place of an access log: the request handler of the program writes the line."""

    lost = 0

    def __init__(self, server: WSGIServer) -> None:
        self._server = server

    def write(self, record: AccessRecord) -> None:
        try:
            self._server._log_response(record)
        except Exception:  # noqa: BLE001 - as of the original: it is printed, and the server goes on
            address = RequestFacts(record.environ, self._server).client_address
            self._server.handle_error(cast("Any", None), address)  # it prints the address alone


def _tls_of(sock: socket.socket) -> TlsContext | None:
    """What wraps connections, if the program has wrapped the listening socket, as it would for the original."""
    if not isinstance(sock, ssl.SSLSocket):
        return None
    return TlsContext(TlsConfig(Certificate("")), adapt=lambda _: sock.context)


def make_server(
    host: str,
    port: int,
    app: WSGIApplication,
    server_class: type[original.WSGIServer] = WSGIServer,
    handler_class: type[original.WSGIRequestHandler] = WSGIRequestHandler,
) -> WSGIServer:
    """A server that listens on `host` ("" for all addresses) and `port` (0 for any free one).

    Raises TypeError for a class that overrides what is not called here, OSError for an address that cannot be bound.
    """
    server: WSGIServer = above(server_class, WSGIServer, original.WSGIServer)((host, port), handler_class)
    server.set_app(app)
    return server


def main(arguments: Sequence[str]) -> int:
    """Serve the demonstration of the standard library until Ctrl-C; returns the exit status."""
    port = arguments[0] if arguments else "8000"
    if len(arguments) > 1 or not port.isascii() or not port.isdigit() or int(port) > 65535:
        print_error("usage: python -m ropewalk.simple_server [PORT], by default 8000")
        return 2
    try:
        server = make_server("127.0.0.1", int(port), original.demo_app)
    except OSError as error:
        print_error(f"127.0.0.1:{port}: {error.strerror}")
        return 1
    with server:
        print_out(f"Serving http://127.0.0.1:{server.server_port} until Ctrl-C\n")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0
