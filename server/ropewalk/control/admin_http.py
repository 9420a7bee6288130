"""The resources of the admin listener: health checks, metrics, and the status page.

One GET or HEAD request a connection, as in HTTP/1.0. Runs in the master's poll loop, parses with `ropewalk.http`, and
never runs anything of the application.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol

from ropewalk.control.status_page import PAGE
from ropewalk.errors import ProtocolError
from ropewalk.http.forwarded import split_host
from ropewalk.http.head import HeadLimits, RequestHead, parse_head
from ropewalk.http.status import reason_phrase
from ropewalk.metrics.prometheus import CONTENT_TYPE, exposition

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import ServerStatus

MAX_HEAD_OCTETS = 16384

LIMITS = HeadLimits(request_line=2048, field_line=8190, fields=100, head=MAX_HEAD_OCTETS)

TEXT = "text/plain; charset=utf-8"

PAGE_FIELDS = (
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
)
"""The page contains all that it needs, and fetches from this server only."""


class Client(Protocol):
    """A client's connection."""

    def send(self, octets: bytes, *, is_last: bool = False) -> None:
        """Send, and then close the connection if `is_last`."""


class StatusSource(Protocol):
    """Provides the status of the server."""

    def is_ready(self) -> bool:
        """Whether new requests are welcome."""

    def status(self, done: Callable[[ServerStatus], None]) -> None:
        """Call `done` with the status, once the workers have replied."""


class AdminHandler:
    """One client of the admin listener, and its request."""

    def __init__(self, source: StatusSource, client: Client, names: Collection[str] = ()) -> None:
        """`names`: of this server, in lower case; others with a dot are refused, unless `*` is among them."""
        self._source = source
        self._client = client
        self._names = names
        self._received = b""
        self._has_responded = False
        self._is_head = False

    def receive(self, octets: bytes) -> None:
        """Take octets of the request; respond once its head is complete."""
        if self._has_responded:
            return
        self._received += octets
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > MAX_HEAD_OCTETS:
                self._respond(431, TEXT, "request head too large\n")
            return
        try:
            head = parse_head(self._received[: end + 2].decode("latin-1"), LIMITS)
        except ProtocolError as error:
            self._respond(error.status_code, TEXT, f"{reason_phrase(error.status_code)}\n")
            return
        self._route(head)

    def _route(self, head: RequestHead) -> None:
        self._is_head = head.method == "HEAD"
        if head.method not in ("GET", "HEAD"):
            self._respond(405, TEXT, "use GET or HEAD\n", "Allow: GET, HEAD\r\n")
            return
        match head.path:
            case "/livez":
                self._respond(200, TEXT, "alive\n")
            case "/readyz":
                is_ready = self._source.is_ready()
                self._respond(200 if is_ready else 503, TEXT, "ready\n" if is_ready else "not ready\n")
            case _ if not is_own_host(head.fields.get("HTTP_HOST", ""), self._names):
                self._respond(421, TEXT, "unknown host name; --admin-hosts names those of this listener\n")
            case "/metrics":
                self._source.status(lambda status: self._respond(200, CONTENT_TYPE, exposition(status)))
            case "/status.json":
                self._source.status(lambda status: self._respond(200, "application/json", json.dumps(status) + "\n"))
            case "/":
                self._respond(200, "text/html; charset=utf-8", PAGE, PAGE_FIELDS)
            case _:
                self._respond(404, TEXT, "try /, /livez, /readyz, /metrics or /status.json\n")

    def _respond(self, status_code: int, media_type: str, content: str, fields: str = "") -> None:
        self._has_responded = True
        octets = content.encode()
        head = (
            f"HTTP/1.1 {status_code} {reason_phrase(status_code)}\r\nContent-Type: {media_type}\r\n"
            f"Content-Length: {len(octets)}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
            f"{fields}Connection: close\r\n\r\n"
        )
        self._client.send(head.encode("latin-1") + (b"" if self._is_head else octets), is_last=True)


def is_own_host(host: str, names: Collection[str]) -> bool:
    """Whether a browser that sends this Host was not led here by a name of somebody else's (DNS rebinding).

    Nobody can register an address, a name without a dot (localhost, a container's) or one below localhost (RFC 6761
    section 6.3). `host` matches `grammar.HOST`, or is "" for an HTTP/1.0 client that sent none, as no browser does.
    """
    name = split_host(host)[0].lower().rstrip(".")
    if "." not in name or name.startswith("[") or name.endswith(".localhost") or name in names or "*" in names:
        return True
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
