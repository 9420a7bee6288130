"""The environ (PEP 3333, "environ Variables"; RFC 3875 section 4.1).

Made in three steps, each a copy of the one before with little added: once a listening socket, once a connection, once a
request.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from io import BytesIO
from typing import IO, Any, TextIO

from ropewalk import __version__
from ropewalk.http.head import CHUNKED, HTTP_11, RequestHead
from ropewalk.wsgi.file_wrapper import FileWrapper

Environ = dict[str, Any]

SERVER_SOFTWARE = f"ropewalk/{__version__}"


def listener_environ(sock: socket.socket, errors: TextIO, *, is_multiprocess: bool) -> Environ:
    """What is the same in every environ of connections that `sock` accepts."""
    name, port = "localhost", "80"  # PEP 3333 wants both; a Unix socket has neither
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        address = sock.getsockname()
        name, port = address[0], str(address[1])
    return {
        "SERVER_SOFTWARE": SERVER_SOFTWARE,
        "SERVER_NAME": name,
        "SERVER_PORT": port,
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": errors,
        "wsgi.multithread": True,
        "wsgi.multiprocess": is_multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
    }


class TrustedPeers:
    """The peers whose X-Forwarded-Proto is believed: addresses, or `*` for everybody; a Unix socket's peer always."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._everybody = "*" in allowed
        self._networks = [ipaddress.ip_network(text, strict=False) for text in allowed if text != "*"]

    def __contains__(self, address: str) -> bool:
        if self._everybody or not address:
            return True
        parsed = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any((mapped or parsed) in network for network in self._networks)


def connection_environ(base: Environ, peer: Any, trusted: TrustedPeers) -> tuple[Environ, bool]:
    """Add what is known of the peer; also tell whether it is a trusted proxy."""
    environ = base.copy()
    address = ""
    if isinstance(peer, tuple):
        address = peer[0]
        environ["REMOTE_PORT"] = str(peer[1])
    environ["REMOTE_ADDR"] = address
    return environ, address in trusted


def request_environ(base: Environ, is_trusted: bool, head: RequestHead, body: IO[bytes] | None) -> Environ:
    """The environ of one request; `base` is its connection's."""
    environ = base.copy()
    fields = head.fields
    environ.update(fields)
    environ["REQUEST_METHOD"] = head.method
    environ["PATH_INFO"] = head.path
    environ["QUERY_STRING"] = head.query
    environ["RAW_URI"] = environ["REQUEST_URI"] = head.request_target
    environ["SERVER_PROTOCOL"] = "HTTP/1.1" if head.version >= HTTP_11 else "HTTP/1.0"
    environ["wsgi.input"] = BytesIO() if body is None else body
    if head.content_length == CHUNKED:
        _remove_chunked(environ)
    if is_trusted and fields.get("HTTP_X_FORWARDED_PROTO") == "https":
        environ["wsgi.url_scheme"] = "https"
    return environ


def _remove_chunked(environ: Environ) -> None:
    """RFC 3875 section 4.1.2: a server that removes a transfer coding gives the length of what is left."""
    del environ["HTTP_TRANSFER_ENCODING"]
    body = environ["wsgi.input"]
    environ["CONTENT_LENGTH"] = str(body.seek(0, 2))
    body.seek(0)
