"""What comes before the first request of a connection: the PROXY protocol's header, and the TLS handshake.

Both proceed by readiness, under one deadline. Used by the connection's holder alone.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Generic, TypeVar

from ropewalk.errors import ProtocolError
from ropewalk.http.proxy_protocol import MAX_V2_OCTETS, ProxyHeader, parse_proxy_header
from ropewalk.net.tls import TlsContext, TlsSocket, peer_variables

PLAIN_HTTP_RESPONSE = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 35\r\n"
    b"Connection: close\r\n\r\nThis port speaks HTTPS, not HTTP.\r\n"
)
MAX_DISCARDED_OCTETS = 64 * 1024  # of a peer whose handshake failed: its first request, if it sent one already

ContextT = TypeVar("ContextT")


class Handshake(Generic[ContextT]):
    """Prepares one accepted socket; `sock` is the one to serve once `advance` has returned True.

    `proxy_protocol` is "off", or the mode in which the header is read, which then is required. The connection calls
    `make_context` when `advance` is done: the layers above prepare their context from `proxy_header` and `variables`.
    """

    __slots__ = (
        "_buffer",
        "_proxy_protocol",
        "_tls",
        "_tls_context",
        "make_context",
        "proxy_header",
        "sock",
        "variables",
        "wants_output",
    )

    def __init__(
        self,
        sock: socket.socket,
        *,
        proxy_protocol: str,
        tls_context: TlsContext | None,
        make_context: Callable[[Handshake[ContextT]], ContextT],
    ) -> None:
        self.sock: socket.socket | TlsSocket = sock
        self.make_context = make_context
        self.proxy_header: ProxyHeader | None = None
        self.variables: dict[str, str] = {}  # of the TLS session, for the environ
        self.wants_output = False  # whether the event to wait for is room for output
        self._proxy_protocol = proxy_protocol
        self._tls_context = tls_context
        self._tls: ssl.SSLSocket | None = None
        self._buffer = b""

    def advance(self) -> bool:
        """Proceed as far as possible; True when the handshake is complete.

        Raises `BlockingIOError` until then, `ProtocolError` for a bad header, `OSError` when the handshake failed.
        """
        if self._proxy_protocol != "off" and self.proxy_header is None:
            self._read_header()
        if self._tls_context is not None:
            self._advance_tls(self._tls_context)
        return True

    def _read_header(self) -> None:
        """Read the header's octets and none after them: those belong to the TLS handshake or to the first request."""
        sock = self.sock
        assert isinstance(sock, socket.socket)
        while self.proxy_header is None:
            peeked = sock.recv(MAX_V2_OCTETS, socket.MSG_PEEK)
            if not peeked:
                raise ProtocolError(400, "the connection ended inside its PROXY header")
            received = self._buffer + peeked
            self.proxy_header = parse_proxy_header(received, self._proxy_protocol)
            octets = len(received) if self.proxy_header is None else self.proxy_header.octets
            sock.recv(octets - len(self._buffer))
            self._buffer = received

    def _advance_tls(self, context: TlsContext) -> None:
        tls = self._tls or self._begin_tls(context)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self.wants_output = False
            raise BlockingIOError from None
        except ssl.SSLWantWriteError:
            self.wants_output = True
            raise BlockingIOError from None
        except ssl.SSLError:
            _discard_input(tls)
            raise
        self.variables = peer_variables(tls)

    def _begin_tls(self, context: TlsContext) -> ssl.SSLSocket:
        """Begin a TLS session, which takes 40 KiB of memory, once the peer has sent the first octet of one."""
        sock = self.sock
        assert isinstance(sock, socket.socket)
        self.wants_output = False
        first = sock.recv(1, socket.MSG_PEEK)
        if not first:
            raise ConnectionAbortedError("the connection ended before its handshake")
        if first.isupper():  # a method; the types of TLS's records are 20 to 24 (RFC 8446 section 5.1)
            sock.send(PLAIN_HTTP_RESPONSE)
            _discard_input(sock)
            raise ConnectionAbortedError("plain HTTP on a port for TLS")
        self._tls = context.wrap(sock)
        self.sock = TlsSocket(self._tls)
        return self._tls


def _discard_input(sock: socket.socket) -> None:
    """Read what the peer sent already: closing with unread input would reset away the alert or response sent last."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_WR)
        socket.socket.recv(sock, MAX_DISCARDED_OCTETS)
