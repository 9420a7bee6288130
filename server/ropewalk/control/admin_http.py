"""What the admin listener answers: health, metrics, and a page that shows how the server is.

HTTP/1.0 in spirit: one request of a GET or HEAD, one answer, and the connection ends. It runs in the master's poll
loop, reads with `ropewalk.http`, and never runs anything of the application.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ropewalk.control.status_page import PAGE
from ropewalk.errors import ProtocolError
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
"""The page brings everything along, and asks this server alone."""


class Peer(Protocol):
    """A conversation at the master's desk."""

    def send(self, octets: bytes, *, is_last: bool = False) -> None:
        """Send, and end behind what is last."""


class Source(Protocol):
    """Whoever knows how the server is."""

    def is_ready(self) -> bool:
        """Whether new requests are welcome."""

    def status(self, done: Callable[[ServerStatus], None]) -> None:
        """Call `done` with the status, once the workers have replied."""


class AdminHandler:
    """One peer of the admin listener, and its request."""

    def __init__(self, source: Source, peer: Peer) -> None:
        self._source = source
        self._peer = peer
        self._received = b""
        self._is_answered = False
        self._is_head = False

    def receive(self, octets: bytes) -> None:
        """Take octets of the request; answer when its head is whole."""
        if self._is_answered:
            return
        self._received += octets
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > MAX_HEAD_OCTETS:
                self._answer(431, TEXT, "the head is too large\n")
            return
        try:
            head = parse_head(self._received[: end + 2].decode("latin-1"), LIMITS)
        except ProtocolError as error:
            self._answer(error.status_code, TEXT, f"{reason_phrase(error.status_code)}\n")
            return
        self._route(head)

    def _route(self, head: RequestHead) -> None:
        self._is_head = head.method == "HEAD"
        if head.method not in ("GET", "HEAD"):
            self._answer(405, TEXT, "only GET and HEAD\n", "Allow: GET, HEAD\r\n")
            return
        match head.path:
            case "/livez":
                self._answer(200, TEXT, "alive\n")
            case "/readyz":
                is_ready = self._source.is_ready()
                self._answer(200 if is_ready else 503, TEXT, "ready\n" if is_ready else "not ready\n")
            case "/metrics":
                self._source.status(lambda status: self._answer(200, CONTENT_TYPE, exposition(status)))
            case "/status.json":
                self._source.status(lambda status: self._answer(200, "application/json", json.dumps(status) + "\n"))
            case "/":
                self._answer(200, "text/html; charset=utf-8", PAGE, PAGE_FIELDS)
            case _:
                self._answer(404, TEXT, "there is /, /livez, /readyz, /metrics and /status.json\n")

    def _answer(self, status_code: int, media_type: str, content: str, fields: str = "") -> None:
        self._is_answered = True
        octets = content.encode()
        head = (
            f"HTTP/1.1 {status_code} {reason_phrase(status_code)}\r\nContent-Type: {media_type}\r\n"
            f"Content-Length: {len(octets)}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
            f"{fields}Connection: close\r\n\r\n"
        )
        self._peer.send(head.encode("latin-1") + (b"" if self._is_head else octets), is_last=True)
