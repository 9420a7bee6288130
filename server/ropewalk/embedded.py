"""A server inside a program of one's own: in tests, in a script, in a tool.

The same `Service` that a worker process runs, in threads of this process, without a master.
"""

from __future__ import annotations

import select
import signal
import sys
import threading
import time
from types import TracebackType
from typing import Any, TextIO
from wsgiref.types import WSGIApplication

from ropewalk.config.settings import make_settings
from ropewalk.logs.access_log import AccessLog
from ropewalk.logs.error_log import get_logger
from ropewalk.net.listeners.open import close_listeners, describe, open_listeners, refuse_new_connections
from ropewalk.net.listeners.unix import DEFAULT_MODE
from ropewalk.process.system.signals import SignalInbox
from ropewalk.runtime.draining import Drained
from ropewalk.runtime.factories import tls_context
from ropewalk.runtime.service import Service
from ropewalk.runtime.status import Stats


class Server:
    """Serves a WSGI application from threads of this process.

        with ropewalk.Server(application, bind="127.0.0.1:0") as server:
            host, port = server.address

    Listens as soon as it is made, so that `address` is known and connections wait; answers between `start` and `stop`,
    which a `with` block calls. Settings are those of the command line, by their names there.
    """

    def __init__(self, application: WSGIApplication, *, errors: TextIO | None = None, **settings: Any) -> None:
        """`errors` is the `wsgi.errors` of every environ (default: standard error).

        Raises `ConfigError` for a bad setting or an address that cannot be bound, `TypeError` for an unknown setting.
        """
        self.settings = make_settings(**settings)
        access_log = self.settings.access_log
        tls = tls_context(self.settings)
        unix_mode = DEFAULT_MODE if self.settings.unix_mode is None else self.settings.unix_mode
        self._listeners = open_listeners(self.settings.bind, backlog=self.settings.backlog, unix_mode=unix_mode)
        self._access_log = AccessLog(access_log, self.settings.access_log_format) if access_log else None
        self._service = Service(
            application,
            self._listeners,
            self.settings,
            access_log=self._access_log,
            errors=errors or sys.stderr,
            tls=tls,
        )
        self._addresses = [listener.getsockname() for listener in self._listeners]
        scheme = "https" if tls is not None else "http"
        self._urls = [describe(listener, scheme=scheme) for listener in self._listeners]
        self._lock = threading.Lock()
        self._is_stopped = False  # under _lock

    @property
    def address(self) -> Any:
        """Where the first listener listens: `(host, port)`, `(host, port, flow, scope)` of IPv6, or a path."""
        return self._addresses[0]

    @property
    def addresses(self) -> list[Any]:
        """Where all of them listen, in the order of `bind`."""
        return list(self._addresses)

    @property
    def url(self) -> str:
        """The first listener's address as a URL."""
        return self._urls[0]

    def stats(self) -> Stats:
        """What the server is doing, and what it has counted. From any thread, also once it is stopped."""
        return self._service.stats()

    def start(self) -> None:
        """Start answering; returns at once."""
        self._service.start()

    def stop(self, timeout: float | None = None) -> Drained:
        """Accept no more, finish what is in flight for `timeout` seconds (default: `graceful_timeout`), then end.

        Safe to call twice, and from any thread but the application's own.
        """
        with self._lock:
            if self._is_stopped:
                return Drained(0, 0)
            self._is_stopped = True
        seconds = self.settings.graceful_timeout if timeout is None else timeout
        refuse_new_connections(self._listeners)
        try:
            drained = self._service.drain(time.monotonic() + seconds)
        finally:
            self._service.close()
            close_listeners(self._listeners)
            if self._access_log is not None:
                self._access_log.close()
        return drained

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(application: WSGIApplication, **settings: Any) -> None:
    """Serve `application` from this process until SIGTERM or SIGINT (Ctrl-C), then finish what is in flight.

    Takes the settings of `Server`. To be called from the main thread, where signals arrive.
    """
    server = Server(application, **settings)
    inbox = SignalInbox(_ENDING)  # not an Event: a signal that comes just before it is waited for would be lost
    log = get_logger()
    try:
        with server:
            for url in server._urls:
                log.info("Listening at: %s", url)
            while _ENDING.isdisjoint(inbox.receive()):
                select.select([inbox], [], [])
    finally:
        inbox.close()


_ENDING = frozenset({signal.SIGTERM, signal.SIGINT})
