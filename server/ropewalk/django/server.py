"""The classes of `django.core.servers.basehttp`, served by Ropewalk: what `runserver` and live tests make."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Iterator, Mapping
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref import simple_server as original

from django.core.servers import basehttp
from django.db import connections

from ropewalk.config.settings import Settings, make_settings
from ropewalk.dev import simple_server
from ropewalk.dev.handlers import RequestFacts, above, refuse_other_methods
from ropewalk.errors import TLS_ON_HTTP
from ropewalk.logs.error_format import Message
from ropewalk.logs.error_log import ErrorLog
from ropewalk.logs.program_logs import ProgramLog

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler
    from wsgiref.types import StartResponse

    from django.db.backends.base.base import BaseDatabaseWrapper

    from ropewalk.logs.access_record import AccessRecord

log = logging.getLogger("django.server")

STREAM_THREADS = 100
"""Each open page may have a stream of events, and a browser any number of pages; a thread is made when it is needed."""

FINISH_SECONDS = 5.0
"""How long the end of a live test waits for requests that are still running: they use the database of its tests."""


class WSGIServer(simple_server.WSGIServer):
    """Takes the arguments of Django's, and its request handlers: access lines go to the logger `django.server`."""

    request_queue_size = 1024

    def __init__(self, *args: Any, ipv6: bool = False, allow_reuse_address: bool = True, **kwargs: Any) -> None:
        if ipv6:
            self.address_family = socket.AF_INET6
        self.allow_reuse_address = allow_reuse_address
        super().__init__(*args, **kwargs)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log that the client went away, or print the exception that is handled."""
        if basehttp.is_broken_pipe_error():
            log.info("- Broken pipe from %s", client_address)
        else:
            super().handle_error(request, client_address)

    def _adapt_handler(self, given: type[BaseHTTPRequestHandler]) -> type[RequestFacts]:
        """The class of the program, of Django's own or not. Raises TypeError."""
        if not issubclass(given, basehttp.WSGIRequestHandler):
            return super()._adapt_handler(given)
        refuse_other_methods(given, simple_server.HONOURED, original.WSGIRequestHandler, basehttp.WSGIRequestHandler)
        own: type[RequestFacts] = above(given, simple_server.WSGIRequestHandler, original.WSGIRequestHandler)
        return own

    def _settings(self, *, keeps_alive: bool) -> Settings:
        if not self._is_threaded:
            return super()._settings(keeps_alive=keeps_alive)
        return make_settings(keep_alive=simple_server.KEEP_ALIVE, timeout=0, stream_threads=STREAM_THREADS)

    def _error_log(self) -> ErrorLog:
        return _Log(log, None, "plain")

    def _log_response(self, record: AccessRecord) -> None:
        super()._log_response(record)
        if not record.is_complete:
            log.info("- Broken pipe from %s", self.handler(record.environ).client_address)


class _Log(ProgramLog):
    def _put(self, message: Message, counted_as: str = "") -> None:
        if not message.text.endswith(TLS_ON_HTTP):  # Django's handler has a sentence of its own
            super()._put(message, counted_as)


class ThreadedWSGIServer(ThreadingMixIn, WSGIServer):
    """The server of live tests: its threads use the connections that they are given, and close all others.

    A test case may override `_close_connections`, as with Django's.
    """

    daemon_threads = True

    def __init__(
        self, *args: Any, connections_override: Mapping[str, BaseDatabaseWrapper] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.connections_override = connections_override

    def server_close(self) -> None:
        """End the server, once the requests that are running are finished, or after `FINISH_SECONDS`."""
        self._finish_in_threads(FINISH_SECONDS)
        super().server_close()

    def _close_connections(self) -> None:
        connections.close_all()

    def _respond(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        for alias, connection in (self.connections_override or {}).items():
            connections[alias] = connection
        try:
            response = super()._respond(environ, start_response)
        except BaseException:
            self._close_connections()
            raise
        return _ThenClose(response, self)


class _ThenClose:
    """A response, after whose end the thread's database connections are closed."""

    def __init__(self, response: Iterable[bytes], server: ThreadedWSGIServer) -> None:
        self._response = response
        self._server = server

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._response)

    def close(self) -> None:
        try:
            if hasattr(self._response, "close"):
                self._response.close()
        finally:
            self._server._close_connections()
