"""`pre_request` and `post_request`: called before and after the application, in the same thread.

`post_request` is called after the response has been written to the socket, so that a slow hook delays no response.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any

from ropewalk.config.hook_signatures import Hook, accepted_arguments
from ropewalk.errors import ApplicationError
from ropewalk.gunicorn_hooks.api import Request, Response, Worker
from ropewalk.gunicorn_hooks.invoke import call_hook, describe
from ropewalk.http.head import RequestHead
from ropewalk.logs.error_log import get_logger
from ropewalk.wsgi.environ import Environ
from ropewalk.wsgi.exchange import Exchange, WsgiConnection
from ropewalk.wsgi.response_head import DefaultFields


class HookedExchange(Exchange):
    """An exchange that calls `pre_request` before the application."""

    __slots__ = ("_application", "_hooks", "request")

    def __init__(
        self,
        connection: WsgiConnection,
        request: RequestHead,
        environ: Environ,
        default_fields: DefaultFields,
        hooks: RequestHooks,
    ) -> None:
        super().__init__(connection, request, environ, default_fields)
        self.request = Request(environ)
        self._hooks = hooks
        self._application: Any = None

    def run(self, application: Any) -> bool:
        self._application = application
        self._hooks.register(self)
        return super().run(self._call)

    def _call(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self._hooks.call_pre_request(self.request)
        iterable: Iterable[bytes] = self._application(environ, start_response)
        return iterable

    def response(self) -> Response | None:
        """The response; None if there was none, as when the client disconnected."""
        if self._interrupted is not None and not self._is_claimed:
            return Response("504 Gateway Timeout", [])
        return None if self.head is None else Response(self.head.status, list(self.head.headers))  # heads are shared


class RequestHooks:
    """The two hooks, each of which may be None. Used by all threads of the pool, each for its own request."""

    def __init__(self, worker: Worker, pre_request: Hook | None, post_request: Hook | None) -> None:
        self._worker = worker
        self._pre_request = pre_request
        self._post_request = post_request
        self._arguments = accepted_arguments(post_request, 2, 4) if post_request is not None else 0
        self._running: dict[int, HookedExchange] = {}
        """By thread ident, while the request runs; a thread touches only its own entry."""

    def exchange(
        self, connection: WsgiConnection, request: RequestHead, environ: Environ, default_fields: DefaultFields
    ) -> HookedExchange:
        """Make an exchange; takes the arguments of `Exchange`."""
        return HookedExchange(connection, request, environ, default_fields, self)

    def register(self, exchange: HookedExchange) -> None:
        self._running[exchange.thread] = exchange

    def call_pre_request(self, request: Request) -> None:
        """Raises ApplicationError if the hook raises: the client gets a 500, and the application is not called."""
        if self._pre_request is None:
            return
        _, error = call_hook(self._pre_request, self._worker, request)
        if error is not None:
            get_logger().error("pre_request: %s", describe(error), exc_info=error)
            raise ApplicationError("the hook pre_request raised an exception")

    def wrap(self, run: Callable[[Any], bool]) -> Callable[[Any], bool]:
        """`run`, which runs the request of a connection and returns whether to send a response, then `post_request`."""
        if self._post_request is None:
            return run

        def run_and_call_hook(connection: WsgiConnection) -> bool:
            try:
                has_response = run(connection)
            finally:
                exchange = self._running.pop(get_ident(), None)
            if exchange is None:  # refused before the application was called
                return has_response
            if has_response:
                connection.send()  # after this, another thread may hold it
            self._call_post_request(exchange)
            return False

        return run_and_call_hook

    def _call_post_request(self, exchange: HookedExchange) -> None:
        assert self._post_request is not None
        arguments = (self._worker, exchange.request, exchange.environ, exchange.response())
        _, error = call_hook(self._post_request, *arguments[: self._arguments])
        if error is not None:
            get_logger().error("post_request: %s", describe(error), exc_info=error)
