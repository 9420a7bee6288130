"""The servers of werkzeug.serving, served by Ropewalk: for a program that starts and stops one itself.

Where they have an attribute or a method, so do these. docs/development.md lists what is different.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, cast

from ropewalk.cli.stdio import print_error
from ropewalk.config.settings import Settings, make_settings
from ropewalk.dev.certificate import adhoc_certificate
from ropewalk.dev.simple_server import FINISH_INTERVAL, KEEP_ALIVE, WSGIServer
from ropewalk.dev.werkzeug_handler import WSGIRequestHandler, adapted
from ropewalk.dev.werkzeug_log import ServerLog, log, styled
from ropewalk.errors import ConfigError
from ropewalk.net.listeners.holder import holder_of_path, holder_of_port
from ropewalk.net.listeners.inherited import adopt_listener
from ropewalk.net.listeners.unix import UnixListener, open_unix_listener
from ropewalk.net.tls import Certificate, TlsConfig, TlsContext

if TYPE_CHECKING:
    import ssl
    from wsgiref.types import StartResponse, WSGIApplication

    from ropewalk.logs.access_record import AccessRecord
    from ropewalk.logs.error_log import ErrorLog

    SslContext = ssl.SSLContext | tuple[str, str | None] | Literal["adhoc"] | None

THREADS = 64
"""At most, of a threaded server. Werkzeug's has no limit; pages that stream keep a thread each."""

FINISH_SECONDS = 2.0
"""For requests that run when the server is shut down, as before a reload."""

ALL_ADDRESSES = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6}


class BaseWSGIServer(WSGIServer):
    """A server that handles one request at a time, in the thread that calls `serve_forever`. Made by `make_server`."""

    multithread = False
    multiprocess = False
    request_queue_size = 128
    idle_grace = FINISH_INTERVAL
    """Seconds in which a connection that was accepted before `shutdown` may still send a request."""

    def __init__(
        self,
        host: str,
        port: int,
        app: WSGIApplication,
        handler: type | None = None,
        passthrough_errors: bool = False,
        ssl_context: SslContext = None,
        fd: int | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.passthrough_errors = passthrough_errors
        self.passed: Exception | None = None  # set by the thread that runs the application, which is the one that reads
        self.address_family = _family(host)
        self._unix: UnixListener | None = None  # the socket whose file is ours
        self.ssl_context = _make_context(ssl_context, host)
        # Its socket is none yet that is bound.
        super().__init__((host, port), handler or WSGIRequestHandler, bind_and_activate=False)
        self.set_app(app)
        self.socket.close()
        try:
            self.socket = self._open() if fd is None else _duplicate(fd)
        except OSError as error:
            self.server_close()
            _print_reason(error, host, port)
            sys.exit(1)
        except ValueError:
            self.server_close()
            raise
        self._describe_socket()
        if self.ssl_context is not None:
            self.socket = self.ssl_context.wrap_socket(self.socket, server_side=True)

    @property
    def app(self) -> WSGIApplication | None:
        """The application; another one may be set while it serves."""
        return self.application

    @app.setter
    def app(self, application: WSGIApplication) -> None:
        self.application = application

    def _open(self) -> socket.socket:
        """Listen. Raises OSError."""
        if self.address_family == socket.AF_UNIX:
            path = os.path.abspath(self.host.removeprefix("unix://"))
            self._unix = open_unix_listener(path, backlog=self.request_queue_size, mode=0o777 & ~_umask())
            return self._unix
        if isinstance(self.port, int) and not 0 <= self.port <= 65535:  # the C library takes the rest of a division
            raise ValueError(f"port={self.port}: must be an integer from 0 to 65535")
        found = socket.getaddrinfo(
            *(self.host or None, self.port, self.address_family, socket.SOCK_STREAM, socket.IPPROTO_TCP),
            flags=socket.AI_PASSIVE,  # without a host, all addresses
        )
        listener = socket.socket(self.address_family)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(found[0][4])
            listener.listen(self.request_queue_size)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        return listener

    def _describe_socket(self) -> None:
        self.server_address = self.socket.getsockname()
        self.server_name = self.host
        if self.address_family != socket.AF_UNIX:
            self.port = self.server_address[1]
        self.server_port = self.port
        self.setup_environ()

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until `shutdown`, which another thread calls, or Ctrl-C; then close the server.

        With `passthrough_errors`, what the application raises is raised here, unless it runs in other threads.
        """
        with suppress(KeyboardInterrupt):
            try:
                super().serve_forever(poll_interval)
            finally:
                self.server_close()

    def _finish(self) -> None:
        """Let requests that run end, in this thread too if they run here."""
        ending = threading.Thread(target=self._finish_in_threads, args=(FINISH_SECONDS, self.idle_grace), daemon=True)
        ending.start()
        while ending.is_alive():
            self._caller.run(FINISH_INTERVAL)

    def service_actions(self) -> None:
        super().service_actions()
        if self.passed is not None:
            raise self.passed

    def server_close(self) -> None:
        """Close the listening socket and every connection. A Unix socket's file is removed."""
        if self._unix is not None:
            self._unix.unlink()
        super().server_close()

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log a message at a level, by its name: `info`, `error`."""
        log(type, message, *args)

    def log_startup(self) -> None:
        """Log where the server can be reached."""
        scheme = "http" if self.ssl_context is None else "https"
        lines = [styled("This is for development. In production, serve with the command ropewalk.", "bold")]
        if self.host in ALL_ADDRESSES:
            lines.append(f" * Running on all addresses ({self.host})")
        lines += [f" * Running on {url}" for url in self._urls(scheme)]
        log("info", "%s", "\n".join(lines))

    def _urls(self, scheme: str) -> Iterator[str]:
        if self.address_family == socket.AF_UNIX:
            yield self.host
        elif self.host in ALL_ADDRESSES:
            yield f"{scheme}://{'127.0.0.1' if self.host == '0.0.0.0' else '[::1]'}:{self.port}"
            yield f"{scheme}://{_bracketed(_address_in_network(ALL_ADDRESSES[self.host]))}:{self.port}"
        else:
            yield f"{scheme}://{_bracketed(self.host)}:{self.port}"

    # In place of what wsgiref does

    @property
    def _is_threaded(self) -> bool:
        return self.multithread

    def _adapt_handler(self, given: type) -> type[WSGIRequestHandler]:
        return adapted(given)

    def _settings(self, *, keeps_alive: bool) -> Settings:
        handler = cast("type[WSGIRequestHandler]", self.RequestHandlerClass)
        is_kept = keeps_alive and handler.protocol_version >= "HTTP/1.1"
        return make_settings(
            keep_alive=KEEP_ALIVE if is_kept else 0,
            threads=THREADS if self.multithread else 1,
            timeout=0,
            stream_timeout=0,
            limit_request_body=0,
            limit_request_bodies=0,
        )

    def _respond(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ = self.handler(environ).make_environ()
        environ["wsgi.errors"] = sys.stderr
        environ["wsgi.multiprocess"] = self.multiprocess
        application = self.application
        assert application is not None
        if not self.passthrough_errors or self.multithread:
            return application(environ, start_response)
        try:
            return _Passing(application(environ, start_response), self)
        except Exception as error:
            self.passed = error
            raise

    def _error_log(self) -> ErrorLog:
        return ServerLog()

    def _log_response(self, record: AccessRecord) -> None:
        self.handler(record.environ).log_request(record.status.partition(" ")[0])

    def handler(self, environ: dict[str, Any]) -> WSGIRequestHandler:
        """The request handler for a request."""
        handler = super().handler(environ)
        assert isinstance(handler, WSGIRequestHandler)
        return handler


class ThreadedWSGIServer(BaseWSGIServer):
    """A server that handles requests in threads. Made by `make_server`."""

    multithread = True


class _Passing:
    """The content of a response; what is raised in making it is raised by `serve_forever` as well."""

    def __init__(self, content: Iterable[bytes], server: BaseWSGIServer) -> None:
        self._content = content
        self._parts = iter(content)
        self._server = server

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._parts)
        except StopIteration:
            raise
        except Exception as error:
            self._server.passed = error
            raise

    def close(self) -> None:
        if hasattr(self._content, "close"):
            self._content.close()


def _family(host: str) -> socket.AddressFamily:
    if host.startswith("unix://"):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _duplicate(fd: int) -> socket.socket:
    """A descriptor of our own for a listening socket that somebody else has opened. Raises OSError, ValueError."""
    copy = os.dup(fd)
    try:
        return adopt_listener(copy)
    except ValueError as error:
        os.close(copy)
        raise ValueError(f"fd={fd}: {error}") from None


def _make_context(given: SslContext, host: str) -> ssl.SSLContext | None:
    """Raises TypeError for what is none of the four forms; ConfigError for a certificate that cannot be loaded."""
    if given is None:
        return None
    try:
        if given == "adhoc":
            names = [] if host in ALL_ADDRESSES or _family(host) == socket.AF_UNIX else [host]
            with adhoc_certificate(*names) as path:
                return TlsContext(TlsConfig(Certificate(path))).context
        if isinstance(given, tuple):
            chain, key = given
            return TlsContext(TlsConfig(Certificate(chain, key or ""))).context
    except ConfigError as error:
        raise ConfigError("ssl_context", error.value or given, error.allowed) from None
    if not hasattr(given, "wrap_socket"):
        raise TypeError(f"ssl_context={given!r}: must be None, 'adhoc', a (certificate, key) pair or an SSLContext")
    return given


def _print_reason(error: OSError, host: str, port: int) -> None:
    print_error(error.strerror or str(error))
    if error.errno != errno.EADDRINUSE:
        return
    if _family(host) == socket.AF_UNIX:
        holder = holder_of_path(host.removeprefix("unix://"))
    else:
        print_error(
            f"Port {port} is in use by another program. Either identify and stop that program, or start the server "
            "with a different port."
        )
        found = socket.getaddrinfo(host, port, _family(host), socket.SOCK_STREAM)
        holder = holder_of_port(found[0][0], str(found[0][4][0]), port)
    if holder:
        print_error(f"It is in use by {holder}.")


def _umask() -> int:
    """The mask of this process, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _address_in_network(family: socket.AddressFamily) -> str:
    """The address by which other machines reach this one; nothing is sent to find it."""
    anywhere = "fd00::1" if family == socket.AF_INET6 else "10.255.255.255"
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((anywhere, 9))
        except OSError:
            return "::1" if family == socket.AF_INET6 else "127.0.0.1"
        return str(sock.getsockname()[0])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
