"""The environ (PEP 3333, "environ Variables"; RFC 3875 section 4.1).

Built in steps, each a copy of the one before with little added: for a listening socket, for a connection, for the
fields that a client repeats in each request, and for a request.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, TextIO

from ropewalk._version import __version__
from ropewalk.errors import ProtocolError
from ropewalk.http.forwarded import (
    DEFAULT_FIELDS,
    ForwardedReader,
    Origin,
    TrustedNetworks,
    forwarded_names,
    has_forwarded,
    has_known,
    split_host,
)
from ropewalk.http.head import CHUNKED, HTTP_11, RequestHead
from ropewalk.wsgi.dropped_fields import DroppedFields
from ropewalk.wsgi.file_wrapper import FileWrapper

if TYPE_CHECKING:
    from ropewalk.http.proxy_protocol import ProxyHeader

Environ = dict[str, Any]

Fields = Mapping[str, str]
"""The fields of a request, by meta-variable."""

SERVER_SOFTWARE = f"ropewalk/{__version__}"

# The keys that the request line and the content set. They are in each copy from the start, so that it need not grow.
REQUEST_KEYS: Mapping[str, Any] = dict.fromkeys(
    ["REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "RAW_URI", "REQUEST_URI", "SERVER_PROTOCOL", "wsgi.input"]
)

CLIENT_DISCONNECTED = "ropewalk.client_disconnected"
"""A callable that returns whether the client has gone away; waitress has one under its own name."""

IPV4_MAPPED = "::ffff:"  # prefix of an IPv4 peer on a socket for both families (RFC 4291 section 2.5.5.2)
DEFAULT_PORTS = {"http": "80", "https": "443"}


def listener_environ(sock: socket.socket, errors: TextIO, *, is_multithread: bool, is_multiprocess: bool) -> Environ:
    """What all environs of connections that `sock` accepts have in common; the `REQUEST_KEYS` are None."""
    name, port = "localhost", "80"  # PEP 3333 requires both; a Unix socket has neither
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        address = sock.getsockname()
        name, port = address[0], str(address[1])
    return {
        "SERVER_SOFTWARE": SERVER_SOFTWARE,
        "SERVER_NAME": name,
        "SERVER_PORT": port,
        "SCRIPT_NAME": "",
        **REQUEST_KEYS,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": errors,
        "wsgi.multithread": is_multithread,
        "wsgi.multiprocess": is_multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
    }


class TrustedPeers:
    """The proxies in front, and which of their fields are trusted.

    `allowed` are addresses and networks, or `*` for all; the peer of a Unix socket is always trusted. `fields` are the
    names of the fields that these proxies set (`ropewalk.http.forwarded.KNOWN`). `dropped` reports the others.
    """

    def __init__(
        self, allowed: Sequence[str], fields: Sequence[str] = DEFAULT_FIELDS, dropped: DroppedFields | None = None
    ) -> None:
        networks = TrustedNetworks(allowed)
        reader = ForwardedReader(networks, fields)
        self.trusts_peer = networks.trusts_peer
        self.trusts_source = networks.trusts_source
        self.read = reader.read
        self.ignored = reader.dropped
        self.dropped = dropped or DroppedFields()


class ConnectionEnviron:
    """What the environs of the requests of a connection have in common. Used only by the holder of the connection.

    `trusted` is None if the peer is not a trusted proxy.
    """

    __slots__ = ("_fields", "_prepared", "base", "trusted")

    def __init__(self, base: Environ, trusted: TrustedPeers | None) -> None:
        self.base = base
        self.trusted = trusted
        self._fields: Fields | None = None  # of the last request, if the next one may share them
        self._prepared: Environ | None = None  # `base` and `_fields`, once those have come twice

    def request(self, head: RequestHead, body: IO[bytes] | None) -> Environ:
        """The environ of one request.

        Raises `ProtocolError` 400 if a trusted proxy sends an impossible value, 421 for a target that is not served on
        this connection.
        """
        fields = head.fields
        # fast path of `_make`; test_a_prepared_environ_is_that_of_a_fresh_connection holds them equal
        if fields is self._fields:
            environ = (self._prepared or self._prepare(fields)).copy()
        else:
            self._prepared = None
            self._fields = fields if head.field_text is not None else None
            environ = self._make(fields)
        environ["REQUEST_METHOD"] = head.method
        environ["PATH_INFO"] = head.path
        environ["QUERY_STRING"] = head.query
        environ["RAW_URI"] = environ["REQUEST_URI"] = head.request_target
        environ["SERVER_PROTOCOL"] = "HTTP/1.1" if head.version >= HTTP_11 else "HTTP/1.0"
        environ["wsgi.input"] = BytesIO() if body is None else body
        if head.content_length == CHUNKED:
            _remove_chunked(environ)
        if head.is_https_target and environ["wsgi.url_scheme"] != "https":
            raise ProtocolError(421, "an https target on a connection without TLS")  # RFC 9110 section 7.4
        return environ

    def partial(self, head: RequestHead | None, request_line: str) -> Environ:
        """An environ for the log, of a request that is refused: without a head, what is known of the peer.

        `request_line` is that of a head that is not valid otherwise, or "".
        """
        environ = {name: value for name, value in self.base.items() if name not in REQUEST_KEYS}
        if head is not None:
            environ.update(head.fields)
            environ["REQUEST_METHOD"], environ["PATH_INFO"] = head.method, head.path
            environ["QUERY_STRING"], environ["RAW_URI"] = head.query, head.request_target
            environ["SERVER_PROTOCOL"] = "HTTP/1.1" if head.version >= HTTP_11 else "HTTP/1.0"
        elif request_line:
            environ["REQUEST_METHOD"], environ["RAW_URI"], environ["SERVER_PROTOCOL"] = request_line.split(" ")
            environ["PATH_INFO"], _, environ["QUERY_STRING"] = environ["RAW_URI"].partition("?")
        return environ

    def _prepare(self, fields: Fields) -> Environ:
        prepared = self._prepared = self._make(fields)
        return prepared

    def _make(self, fields: Fields) -> Environ:
        environ = self.base.copy()
        environ.update(fields)
        trusted = self.trusted
        if trusted is not None:
            if has_known(fields):
                _apply(environ, trusted.read(fields))
                for name in trusted.ignored:
                    if environ.pop(name, None) is not None and name in trusted.dropped.unreported:
                        trusted.dropped.report_forwarded(name)
        elif has_forwarded(fields):
            for name in forwarded_names(fields):
                del environ[name]
        return environ


class UnprocessedEnviron(ConnectionEnviron):
    """Leaves what a proxy adds to the program, or to its middleware."""

    __slots__ = ()

    def _make(self, fields: Fields) -> Environ:
        return {**self.base, **fields}


MakeEnviron = Callable[[Environ, TrustedPeers | None], ConnectionEnviron]


def connection_environ(
    listener: Environ,
    peer: Any,
    trusted: TrustedPeers,
    header: ProxyHeader | None = None,
    make: MakeEnviron = ConnectionEnviron,
) -> ConnectionEnviron:
    """Add what is known of the peer to the environ of its listening socket.

    `peer` is the address as in `socket.accept`: a tuple that begins with host and port, or something else for a Unix
    socket. `header` is that of the PROXY protocol, from a peer that may send it: its source is trusted, or is not.
    """
    environ = listener.copy()
    address = ""
    if isinstance(peer, tuple):
        address = peer[0]
        if address.startswith(IPV4_MAPPED) and "." in address:
            address = address.removeprefix(IPV4_MAPPED)
        environ["REMOTE_PORT"] = str(peer[1])
    environ["REMOTE_ADDR"] = environ["ropewalk.peer"] = address
    if header is not None and header.is_tls:
        environ["wsgi.url_scheme"] = "https"
    if header is None or header.source is None or header.destination is None:
        return make(environ, trusted if trusted.trusts_peer(address) else None)
    environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = header.source.host, str(header.source.port)
    environ["SERVER_NAME"], environ["SERVER_PORT"] = header.destination.host, str(header.destination.port)
    return make(environ, trusted if trusted.trusts_source(header.source.host) else None)


def _apply(environ: Environ, origin: Origin) -> None:
    """Change the environ to that of the request which the outermost trusted proxy received."""
    client = origin.client
    if client is not None:
        environ["REMOTE_ADDR"] = client.address
        environ.pop("REMOTE_PORT", None)  # the port of the proxy
        if client.port:
            environ["REMOTE_PORT"] = client.port
    if origin.scheme:
        environ["wsgi.url_scheme"] = origin.scheme
    if origin.script_name:
        environ["SCRIPT_NAME"] = origin.script_name
    if origin.host or origin.port:
        _apply_host(environ, origin)


def _apply_host(environ: Environ, origin: Origin) -> None:
    """Add a port that came in a field of its own to a Host without one: in PEP 3333 URLs are made from HTTP_HOST."""
    name, port = split_host(origin.host or environ.get("HTTP_HOST", ""))
    default = DEFAULT_PORTS[environ["wsgi.url_scheme"]]
    if not port and name:
        port = origin.port or default
        environ["HTTP_HOST"] = name if port == default else f"{name}:{port}"
    elif origin.host:
        environ["HTTP_HOST"] = origin.host
    environ["SERVER_PORT"] = origin.port or port
    if origin.host:
        environ["SERVER_NAME"] = name


def _remove_chunked(environ: Environ) -> None:
    """RFC 3875 section 4.1.2: a server that removes a transfer coding sets the length of the remaining content."""
    del environ["HTTP_TRANSFER_ENCODING"]
    body = environ["wsgi.input"]
    environ["CONTENT_LENGTH"] = str(body.seek(0, 2))
    body.seek(0)
