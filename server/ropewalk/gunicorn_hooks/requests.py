"""`pre_request` and `post_request`: called by the thread that runs the application, in front of it and behind.

`post_request` runs when the answer was handed to the socket, so that a slow one keeps no client waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any

from ropewalk.config.hook_signatures import Hook, accepted_arguments
from ropewalk.errors import ApplicationError
from ropewalk.gunicorn_hooks.api import Request, Response, Worker
from ropewalk.gunicorn_hooks.invoke import attempt, told
from ropewalk.http.head import RequestHead
from ropewalk.logs.error_log import get_logger
from ropewalk.wsgi.environ import Environ
from ropewalk.wsgi.exchange import Exchange, WsgiConnection
from ropewalk.wsgi.response_head import DefaultFields


class HookedExchange(Exchange):
    """An exchange that calls `pre_request` in the application's place, and the application then."""

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
        self._hooks.begun(self)
        return super().run(self._call)

    def _call(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self._hooks.before(self.request)
        answer: Iterable[bytes] = self._application(environ, start_response)
        return answer

    def response(self) -> Response | None:
        """What became of it; None when nobody was answered."""
        if self._interrupted is not None and not self._is_claimed:
            return Response("504 Gateway Timeout", [])
        return None if self.head is None else Response(self.head.status, self.head.headers)


class RequestHooks:
    """Either may be None. Called by every thread of the pool, each for its own request."""

    def __init__(self, worker: Worker, pre_request: Hook | None, post_request: Hook | None) -> None:
        self._worker = worker
        self._pre_request = pre_request
        self._post_request = post_request
        self._arguments = accepted_arguments(post_request, 2, 4) if post_request is not None else 0
        self._running: dict[int, HookedExchange] = {}
        """By thread ident, from the begin of the run until its end; each entry is its thread's alone."""

    def exchange(
        self, connection: WsgiConnection, request: RequestHead, environ: Environ, default_fields: DefaultFields
    ) -> HookedExchange:
        """In the place of `Exchange`."""
        return HookedExchange(connection, request, environ, default_fields, self)

    def begun(self, exchange: HookedExchange) -> None:
        self._running[exchange.thread] = exchange

    def before(self, request: Request) -> None:
        """Raises ApplicationError when the hook did: the client then gets a 500, and the application is not called."""
        if self._pre_request is None:
            return
        _, error = attempt(self._pre_request, self._worker, request)
        if error is not None:
            get_logger().error("pre_request: %s", told(error), exc_info=error)
            raise ApplicationError("the hook pre_request raised")

    def around(self, run: Callable[[Any], bool]) -> Callable[[Any], bool]:
        """`run`, which runs a connection's request and tells whether it is to be sent, with `post_request` behind."""
        if self._post_request is None:
            return run

        def run_and_tell(connection: WsgiConnection) -> bool:
            try:
                is_to_be_sent = run(connection)
            finally:
                exchange = self._running.pop(get_ident(), None)
            if exchange is None:  # refused before it came to the application
                return is_to_be_sent
            if is_to_be_sent:
                connection.send()  # from here on it may be anybody's
            self._after(exchange)
            return False

        return run_and_tell

    def _after(self, exchange: HookedExchange) -> None:
        assert self._post_request is not None
        given = (self._worker, exchange.request, exchange.environ, exchange.response())
        _, error = attempt(self._post_request, *given[: self._arguments])
        if error is not None:
            get_logger().error("post_request: %s", told(error), exc_info=error)
