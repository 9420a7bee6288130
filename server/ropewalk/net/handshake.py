"""What comes before the first request on a connection: the PROXY protocol's header, and the TLS handshake.

Both by readiness, under one deadline. Used by the connection's holder alone.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

from ropewalk.errors import ProtocolError
from ropewalk.http.proxy_protocol import MAX_V2_OCTETS, ProxyHeader, parse_proxy_header
from ropewalk.net.tls import TlsContext, TlsSocket, peer_variables

PLAIN_HTTP_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 35\r\n"
    b"Connection: close\r\n\r\nThis port speaks HTTPS, not HTTP.\r\n"
)
MAX_DROPPED_OCTETS = 64 * 1024  # of a peer whose handshake failed: its first request, if it sent one already


class Handshake:
    """Opens one accepted socket; `sock` is the one to serve when `advance` has returned True.

    `proxy_protocol` is "off", or the mode in which the header is read, which then has to be there.
    """

    __slots__ = (
        "_buffer",
        "_proxy_protocol",
        "_tls",
        "_tls_context",
        "proxy_header",
        "sock",
        "variables",
        "wants_output",
    )

    def __init__(self, sock: socket.socket, *, proxy_protocol: str, tls_context: TlsContext | None) -> None:
        self.sock: socket.socket | TlsSocket = sock
        self.proxy_header: ProxyHeader | None = None
        self.variables: dict[str, str] = {}  # of the TLS session, for the environ
        self.wants_output = False  # whether the next event to wait for is room for output
        self._proxy_protocol = proxy_protocol
        self._tls_context = tls_context
        self._tls: ssl.SSLSocket | None = None
        self._buffer = b""

    def advance(self) -> bool:
        """Go on as far as it goes; True when the connection is open.

        Raises `BlockingIOError` until then, `ProtocolError` for a bad header, `OSError` when it failed.
        """
        if self._proxy_protocol != "off" and self.proxy_header is None:
            self._read_header()
        if self._tls_context is not None:
            self._shake_hands(self._tls_context)
        return True

    def _read_header(self) -> None:
        """Take the header's octets and none behind them: those belong to the handshake or to the first request."""
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

    def _shake_hands(self, context: TlsContext) -> None:
        tls = self._tls or self._begin(context)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self.wants_output = False
            raise BlockingIOError from None
        except ssl.SSLWantWriteError:
            self.wants_output = True
            raise BlockingIOError from None
        except ssl.SSLError:
            _take_input(tls)
            raise
        self.variables = peer_variables(tls)

    def _begin(self, context: TlsContext) -> ssl.SSLSocket:
        """Begin a TLS session, for 40 KiB of memory, when the peer has begun to speak it."""
        sock = self.sock
        assert isinstance(sock, socket.socket)
        self.wants_output = False
        first = sock.recv(1, socket.MSG_PEEK)
        if not first:
            raise ConnectionAbortedError("the connection ended before its handshake")
        if first.isupper():  # a method; the types of TLS's records are 20 to 24 (RFC 8446 section 5.1)
            sock.send(PLAIN_HTTP_ANSWER)
            _take_input(sock)
            raise ConnectionAbortedError("plain HTTP, where TLS is spoken")
        self._tls = context.wrap(sock)
        self.sock = TlsSocket(self._tls)
        return self._tls


def _take_input(sock: socket.socket) -> None:
    """Take what the peer sent already: a close with input unread resets away the alert, or the answer, sent last."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_WR)
        socket.socket.recv(sock, MAX_DROPPED_OCTETS)
