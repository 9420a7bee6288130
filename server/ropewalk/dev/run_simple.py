"""`make_server` and `run_simple` of werkzeug.serving, served by Ropewalk.

Of Werkzeug only its debugger is imported, if that is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ropewalk.dev.certificate import share_adhoc_certificate
from ropewalk.dev.werkzeug_log import log, styled
from ropewalk.dev.werkzeug_processes import ForkingWSGIServer
from ropewalk.dev.werkzeug_server import BaseWSGIServer, ThreadedWSGIServer
from ropewalk.errors import ConfigError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication

    from ropewalk.dev.werkzeug_server import SslContext

RELOAD_GRACE = 0.1
"""Seconds in which a client that has just connected sends its request, or ends its TLS handshake; `idle_grace`."""

RELOADERS = {"auto": "auto", "stat": "poll", "watchdog": "inotify"}
"""What each `reloader_type` is here."""


class BrokenApplication:
    """In place of an application that could not be imported: raises the reason, for a debugger to show."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self._trace = error.__traceback__

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        __traceback_hide__ = True  # noqa: F841 - read by Werkzeug's debugger
        raise self._error.with_traceback(self._trace) from None


def make_server(
    host: str,
    port: int,
    app: WSGIApplication,
    threaded: bool = False,
    processes: int = 1,
    request_handler: type | None = None,
    passthrough_errors: bool = False,
    ssl_context: SslContext = None,
    fd: int | None = None,
) -> BaseWSGIServer:
    """A server that listens, for `serve_forever`; the parameters are those of `run_simple`.

    `fd` is the descriptor of a socket that listens already; it stays the caller's. If it cannot listen, it prints why
    and raises SystemExit(1). Raises ValueError and TypeError for what it does not take, ConfigError for a certificate
    that cannot be loaded.
    """
    if threaded and processes > 1:
        raise ValueError("a server has threads or processes, not both")
    if processes > 1:
        return ForkingWSGIServer(host, port, app, processes, request_handler, passthrough_errors, ssl_context, fd)
    server_type = ThreadedWSGIServer if threaded else BaseWSGIServer
    return server_type(host, port, app, request_handler, passthrough_errors, ssl_context, fd)


def is_running_from_reloader() -> bool:
    """Whether this process was started by a reloader, its own or Werkzeug's."""
    return os.environ.get("WERKZEUG_RUN_MAIN") == "true"


def run_simple(
    hostname: str,
    port: int,
    application: WSGIApplication,
    use_reloader: bool = False,
    use_debugger: bool = False,
    use_evalex: bool = True,
    extra_files: Iterable[str] | None = None,
    exclude_patterns: Iterable[str] | None = None,
    reloader_interval: float = 0.25,
    reloader_type: str = "auto",
    threaded: bool = False,
    processes: int = 1,
    request_handler: type | None = None,
    static_files: Mapping[str, str | tuple[str, str]] | None = None,
    passthrough_errors: bool = False,
    ssl_context: SslContext = None,
) -> None:
    """Serve `application` for development until Ctrl-C.

    `hostname` is a name, an address of IPv4 or IPv6, or `unix://` with the path of a socket; `port` 0 is any free one.
    `use_reloader` starts the program again when its code or one of `extra_files` has changed, except for files that
    match one of `exclude_patterns` (fnmatch); the socket stays open. `reloader_type` is "stat", which looks at all
    files every `reloader_interval` seconds, "watchdog", which has the kernel report changes by the package watchfiles,
    or "auto", the one that is possible.
    `use_debugger` shows Werkzeug's debugger for an exception, with `use_evalex` a console in each frame as well.
    Requests run in threads (`threaded`), in a number of `processes`, or one after the other in the thread that calls
    this, which with `passthrough_errors` raises what the application raises. `request_handler` is a subclass of
    Werkzeug's or `ropewalk.serving.WSGIRequestHandler`, `static_files` maps prefixes of paths to folders, files or
    `(package, folder)`, and `ssl_context` is None, "adhoc" for a certificate made now, a `(certificate, key)` pair of
    paths, or an SSLContext.

    Raises SystemExit, after one line, if it cannot listen, or load a certificate or files; TypeError and ValueError for
    what it does not take.
    """
    if not isinstance(port, int):
        raise TypeError("port must be an integer")
    if reloader_type not in RELOADERS:
        raise ValueError(f"reloader_type={reloader_type!r}: must be one of {', '.join(RELOADERS)}")
    is_first = not is_running_from_reloader()
    is_broken = isinstance(application, BrokenApplication)
    if use_reloader and not is_first:
        from ropewalk.reloading.imported import record_imports

        record_imports()  # of those that a request makes and that fail, too
    try:
        if static_files:
            from ropewalk.dev.static_mounts import with_static_files

            application = with_static_files(application, static_files)
        if use_debugger:
            application = _debugged(application, use_evalex, hostname)
        if use_reloader and is_first and ssl_context == "adhoc":
            share_adhoc_certificate(hostname)
        server = make_server(
            hostname,
            port,
            application,
            threaded,
            processes,
            request_handler,
            passthrough_errors,
            ssl_context,
            fd=None if is_first else int(os.environ["WERKZEUG_SERVER_FD"]),
        )
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    server.socket.set_inheritable(True)
    os.environ["WERKZEUG_SERVER_FD"] = str(server.fileno())
    if is_first:
        server.log_startup()
        log("info", "%s", styled("Press CTRL+C to quit", "yellow"))
    if not use_reloader:
        server.serve_forever()
        return
    from ropewalk.dev.reloader import run_with_reloader

    server.idle_grace = RELOAD_GRACE
    try:
        run_with_reloader(
            server.serve_forever,
            server.shutdown,
            extra_files=list(extra_files or ()),
            exclude_patterns=list(exclude_patterns or ()),
            interval=reloader_interval,
            engine=RELOADERS[reloader_type],
            is_failed=is_broken,
            report=partial(log, "info", "%s"),
        )
    finally:
        server.server_close()


def _debugged(application: WSGIApplication, has_console: bool, hostname: str) -> WSGIApplication:
    """The application in Werkzeug's debugger, or else with the server's own page for an exception."""
    try:
        from werkzeug.debug import DebuggedApplication
    except ImportError:
        log("warning", " * The debugger needs the package werkzeug; exceptions get a page without a console")
        return _with_own_page(application, hostname)
    debugged: Any = DebuggedApplication(application, evalex=has_console)
    debugged.trusted_hosts.append(hostname)
    return debugged  # type: ignore[no-any-return]  # Werkzeug's WSGIApplication is another name for it


def _with_own_page(application: WSGIApplication, hostname: str) -> WSGIApplication:
    """For clients on this machine, by the names that Werkzeug's debugger trusts."""
    from ropewalk.debugging.middleware import Debugger
    from ropewalk.debugging.origin import IS_PROXIED, Guard, is_proxied

    guard = Guard(("127.0.0.1", "::1"), {hostname}, is_proxy_allowed=False)
    watched = Debugger(guard, None, shows_locals=True).watching(application)

    def debugged(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ[IS_PROXIED] = is_proxied(environ) or environ["SERVER_PROTOCOL"] == "HTTP/1.0"
        return watched(environ, start_response)

    return debugged
