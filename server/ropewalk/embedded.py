"""A server inside a program: in tests, in a script, in a tool.

It runs the same `Service` as a worker process, in threads of this process and without a master.
"""

from __future__ import annotations

import select
import signal
import sys
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TextIO, cast

from ropewalk.config.settings import make_settings, refuse_not_embedded
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger, logging_to
from ropewalk.logs.wsgi_errors import WsgiErrors
from ropewalk.monkey_patches import refuse_monkey_patches
from ropewalk.net.listeners.open import close_listeners, describe, open_listeners, refuse_new_connections
from ropewalk.net.listeners.unix import DEFAULT_MODE
from ropewalk.process.system.signals import SignalInbox
from ropewalk.process.worker.watchdog import interrupt_all
from ropewalk.runtime.caller_thread import CallerThread, in_caller_thread
from ropewalk.runtime.draining import IDLE_GRACE, Drained
from ropewalk.runtime.embedded_logs import EmbeddedLogs
from ropewalk.runtime.environment import ProcessEnvironment
from ropewalk.runtime.factories import tls_context, with_static_files
from ropewalk.runtime.service import Service
from ropewalk.runtime.status import Stats
from ropewalk.runtime.watchdog_thread import watchdog_thread
from ropewalk.wsgi.loader import check_application

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Unpack
    from wsgiref.types import StartResponse, WSGIApplication

    from ropewalk.config.embedded_settings import EmbeddedSettings

EMBEDDED_IDLE_GRACE = 0.005
"""Seconds in which an idle connection may still send a request when the server stops. Shorter than a worker's grace:
clients of an embedded server are the program's own, and a test suite stops hundreds of servers."""


INTERRUPTIBLE = 0.1
"""Seconds for a wait that Ctrl-C is to end. A signal that comes just before a wait does not interrupt it, and on
Windows none does; Python handles it afterwards."""


def _no_application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """What a server has until its application is set; `start` refuses it."""
    raise RuntimeError("the server has no application")


class Server:
    """Serves a WSGI application from threads of this process.

        with ropewalk.Server(application, bind="127.0.0.1:0") as server:
            host, port = server.address

    It listens as soon as it is created, so that `address` is known and connections can wait. It serves from `start` to
    `stop`, which a `with` block calls, or in `serve_forever`.
    """

    def __init__(
        self,
        application: WSGIApplication = _no_application,
        *,
        errors: TextIO | None = None,
        **settings: Unpack[EmbeddedSettings],
    ) -> None:
        """One that has to know the address of the server can be set later, before `start`: `application`.

        `settings` are the options of the command line, with underscores: `keep_alive=5`. See docs/settings.md.

        `error_log` may also be a function, which is called with the level and the text of each message, or a logger of
        `logging`, which then decides about levels unless `log_level` is given, or a text stream; `access_log` a
        function of the line of each request, a logger or a stream. Threads that serve call them.

        `errors` is the `wsgi.errors` of every environ: by default standard error, or the error log if one of its
        settings is given. The variables of `env` belong to the process; `stop` restores them.

        Raises ConfigError for a value that is not allowed, a setting that has no effect in an embedded server, an
        address that cannot be bound, what is not a WSGI application, and a program that gevent or eventlet has patched;
        TypeError for an unknown setting.
        """
        _check_application(application)
        refuse_monkey_patches("this program", None)
        logs = EmbeddedLogs(settings)
        self.settings = make_settings(**logs.settings)
        refuse_not_embedded(self.settings)
        tls = tls_context(self.settings)
        unix_mode = DEFAULT_MODE if self.settings.unix_mode is None else self.settings.unix_mode
        with ExitStack() as opened:
            self._log = logs.open_error_log(self.settings, opened)
            if errors is None and self._log is not get_logger():
                errors = cast("TextIO", WsgiErrors(self._log))
            with logging_to(self._log):
                self._listeners = open_listeners(self.settings.bind, backlog=self.settings.backlog, unix_mode=unix_mode)
                opened.callback(close_listeners, self._listeners)
                environment = ProcessEnvironment()
                environment.apply((), self.settings.env)
                opened.callback(environment.restore)
                self._service = Service(
                    with_static_files(application, self.settings),
                    self._listeners,
                    self.settings,
                    access_log=logs.open_access_log(self.settings, opened),
                    errors=errors or sys.stderr,
                    tls=tls,
                )
                self._watchdog = watchdog_thread(self._service, self.settings)
            self._opened = opened.pop_all()
        self._addresses = [listener.getsockname() for listener in self._listeners]
        scheme = "https" if tls is not None else "http"
        self._urls = [describe(listener, scheme=scheme) for listener in self._listeners]
        self._idle_grace = EMBEDDED_IDLE_GRACE
        self._application = application
        self._caller: CallerThread | None = None  # while `serve_forever` runs the application in its own thread
        # Held while the server starts: `stop` waits until it has, except in a handler of a signal in that very thread.
        self._lock = threading.RLock()
        self._is_started = False  # under _lock
        self._is_stopping = False  # under _lock
        self._must_end = threading.Event()
        self._has_ended = threading.Event()

    @property
    def address(self) -> Any:
        """The address of the first listener: `(host, port)`, with IPv6 `(host, port, flow, scope)`, or a path."""
        return self._addresses[0]

    @property
    def addresses(self) -> list[Any]:
        """The addresses of all listeners, in the order of `bind`."""
        return list(self._addresses)

    @property
    def url(self) -> str:
        """The address of the first listener as a URL."""
        return self._urls[0]

    @property
    def urls(self) -> list[str]:
        """The addresses of all listeners as URLs, in the order of `bind`."""
        return list(self._urls)

    @property
    def application(self) -> WSGIApplication:
        """The application. Another one, which may be set at any time and from any thread, runs for each request that
        comes from then on.

        Raises ConfigError for what is not a WSGI application.
        """
        return self._application

    @application.setter
    def application(self, application: WSGIApplication) -> None:
        _check_application(application)
        self._application = application
        self._set_application()

    def _set_application(self) -> None:
        caller = self._caller
        application = self._application if caller is None else in_caller_thread(self._application, caller)
        self._service.set_application(with_static_files(application, self.settings))

    def stats(self) -> Stats:
        """What the server is doing and has counted. Any thread, also after `stop`."""
        return self._service.stats()

    def start(self) -> None:
        """Start to serve; returns at once. A server that serves is left as it is.

        Raises RuntimeError if it has been stopped, or has no application.
        """
        with self._lock:
            if self._is_stopping:
                raise RuntimeError("a server that has been stopped cannot be started again; create another one")
            if self._application is _no_application:
                raise RuntimeError("the server has no application: set its attribute `application` first")
            if self._is_started:
                return
            self._is_started = True
            with logging_to(self._log):
                self._service.start()
                if self._watchdog is not None:
                    self._watchdog.start()

    def stop(self, timeout: float | None = None) -> Drained:
        """Accept nothing new, finish what is in flight within `timeout` seconds (default: `graceful_timeout`), and end.

        May be called more than once, and from any thread except one that runs the application, which can call
        `shutdown`.
        """
        with self._lock:
            is_first, self._is_stopping = not self._is_stopping, True
        self._must_end.set()
        if not is_first:
            self._has_ended.wait()
            return Drained(0, 0)
        seconds = self.settings.graceful_timeout if timeout is None else timeout
        refuse_new_connections(self._listeners)
        with self._opened, logging_to(self._log):
            try:
                drained = self._service.drain(time.monotonic() + seconds, self._idle_grace)
                if drained.aborted:
                    interrupt_all(self._service.running(), self._service.interrupt)
                return drained
            finally:
                if self._watchdog is not None:
                    self._watchdog.stop()
                self._service.close()
                self._has_ended.set()
                self._wake_caller()

    def serve_forever(self) -> None:
        """Serve until another thread calls `shutdown` or `stop`, or until Ctrl-C, then stop.

        Requests run in threads of the server; with `threads=1`, in the thread that calls this. Such an application may
        rely on its thread, as one that has an sqlite3 connection, a profiler or a debugger, and is never interrupted:
        past its timeout the client gets a 504, and the application goes on.
        """
        if self.settings.threads == 1:
            self._serve_in_this_thread()
            return
        with suppress(KeyboardInterrupt):
            self.start()
            while not self._must_end.wait(INTERRUPTIBLE):
                pass
        self.stop()

    def shutdown(self) -> None:
        """Have `serve_forever` return, or not begin; does not wait. Any thread, also one that runs the application."""
        self._must_end.set()
        self._wake_caller()

    def _serve_in_this_thread(self) -> None:
        caller = CallerThread()
        try:
            self._caller = caller
            self._set_application()
            with suppress(KeyboardInterrupt):
                self.start()
                while not self._must_end.is_set():
                    caller.run(INTERRUPTIBLE)
            # Not here: what it waits for runs here. After another Ctrl-C the program need not wait for it.
            stopping = threading.Thread(target=self.stop, name="ropewalk-stop", daemon=True)
            stopping.start()
            while not self._has_ended.is_set():
                caller.run(INTERRUPTIBLE)
            stopping.join()
        finally:
            self._caller = None
            self._set_application()
            caller.close()

    def _wake_caller(self) -> None:
        caller = self._caller
        if caller is not None:
            caller.wake()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(application: WSGIApplication, *, errors: TextIO | None = None, **settings: Unpack[EmbeddedSettings]) -> None:
    """Serve `application` from this process until SIGTERM or SIGINT (Ctrl-C), then finish what is in flight.

    Another Ctrl-C does not wait for that. Takes the arguments of `Server`. Must be called in the main thread, where
    signals arrive; raises RuntimeError in another one.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "ropewalk.serve waits for signals, which arrive in the main thread only; in another thread use "
            "ropewalk.Server: `with Server(application, ...):`"
        )
    serve_until_signal(Server(application, errors=errors, **settings))


def serve_until_signal(server: Server) -> int:
    """`serve`, for a server that has not been started. Main thread. Returns the number of the signal."""
    server._idle_grace = IDLE_GRACE  # a proxy in front may keep connections open
    inbox = SignalInbox(_STOP_SIGNALS)  # not an Event: that would miss a signal just before it is waited for
    received: frozenset[int] = frozenset()
    try:
        with suppress(KeyboardInterrupt), server:
            for url in server.urls:
                server._log.info("Listening at: %s", url)
            while not received:
                select.select([inbox], [], [])
                received = _STOP_SIGNALS.intersection(inbox.receive())
            signal.signal(signal.SIGINT, partial(_interrupt_later, time.monotonic()))
    finally:
        inbox.close()
    return min(received)


REPEATED_SECONDS = 0.2
"""SIGINT again so soon is the same Ctrl-C: some programs pass on what the terminal has sent to all of them."""


def _interrupt_later(since: float, number: int, frame: FrameType | None) -> None:
    """Another Ctrl-C while requests are finished: wait for them no longer."""
    if time.monotonic() - since >= REPEATED_SECONDS:
        raise KeyboardInterrupt


_STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


def _check_application(application: object) -> None:
    if isinstance(application, str):
        reason = "must be the application itself, not its name; the command takes a name: ropewalk MODULE:CALLABLE"
        raise ConfigError("application", application, reason)
    check_application("application", None, "it", application)
