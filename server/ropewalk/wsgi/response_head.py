"""What `start_response` is given, checked and encoded (PEP 3333, "The start_response() Callable").

Each header is held to the grammar, once: its line is kept in a bounded cache and found there the next time.
"""

from __future__ import annotations

import sys
import threading
import time
from functools import lru_cache
from typing import NamedTuple, TypeVar

from ropewalk.errors import ApplicationError
from ropewalk.http import grammar
from ropewalk.http.response import imf_fixdate, status_line
from ropewalk.http.status import has_content
from ropewalk.wsgi.request_id import FIELD

K = TypeVar("K")
T = TypeVar("T")

PLAIN, CONTENT_LENGTH, DATE, SERVER, HOP_BY_HOP, NEVER_CACHED = range(6)

# Hop-by-hop (RFC 9110 section 7.6.1 and RFC 2616 section 13.5.1): they belong to the connection, which is the server's.
# Never cached: their values are secret, or new each time, and would only push the others out.
_SPECIAL_NAMES = {
    "content-length": CONTENT_LENGTH,
    "date": DATE,
    "server": SERVER,
    "connection": HOP_BY_HOP,
    "keep-alive": HOP_BY_HOP,
    "proxy-authenticate": HOP_BY_HOP,
    "proxy-authorization": HOP_BY_HOP,
    "proxy-connection": HOP_BY_HOP,
    "te": HOP_BY_HOP,
    "trailer": HOP_BY_HOP,
    "trailers": HOP_BY_HOP,
    "transfer-encoding": HOP_BY_HOP,
    "upgrade": HOP_BY_HOP,
    "set-cookie": NEVER_CACHED,
    "etag": NEVER_CACHED,
    "last-modified": NEVER_CACHED,
    "location": NEVER_CACHED,
    "x-request-id": NEVER_CACHED,
}

# Field lines and names that were checked once: an application gives the same ones again and again.
MAX_CACHED = 1024
MAX_CACHED_VALUE = 128
_lines: dict[tuple[str, str], str] = {}
_kinds: dict[str, int] = {}  # by name as the application writes it


class ResponseHead(NamedTuple):
    """A checked status and header list. `encoded` is the status line and the field lines, each with its CRLF.

    `plain_length` is the content's length when the head leaves nothing to be decided but what the request decides:
    it has a Content-Length, allows content, and leaves Date and Server to us. None otherwise.
    """

    status: str
    status_code: int
    headers: list[tuple[str, str]]
    encoded: bytes
    content_length: int | None
    has_date: bool
    has_server: bool
    allows_content: bool
    plain_length: int | None


class _Known:
    """Whole heads, found again by what the application gave: an answer of the same size to the same kind of request."""

    def __init__(self) -> None:
        self.heads: dict[tuple[object, ...], ResponseHead] = {}


class _KnownByThread(_Known, threading.local):
    """The same where threads compute at once: each has its own, since a shared one costs them a lock a look-up.

    An equal key of another thread's can only be compared under the dict's lock (`ropewalk.threads.free_threading`).
    """


_has_gil: bool = getattr(sys, "_is_gil_enabled", lambda: True)()  # since Python 3.13
_known = _Known() if _has_gil else _KnownByThread()


def check_answer_head(status: str, headers: list[tuple[str, str]]) -> ResponseHead:
    """Check what the application gave to `start_response`. Raises `ApplicationError` that says what is wrong."""
    if not isinstance(headers, (list, tuple)):
        raise ApplicationError(f"response headers must be a list, not {type(headers).__name__}")
    key = (status, *headers)
    try:
        known = _known.heads.get(key)
    except TypeError:  # not hashable, so not all of it is tuples of str: the check will say what
        known = None
    return _check(status, headers, key) if known is None else known


def _check(status: str, headers: list[tuple[str, str]], key: tuple[object, ...]) -> ResponseHead:
    status, status_code = _check_status(status)
    content_length: int | None = None
    special: dict[int, str] = {}
    lines: list[str] = []
    is_seen_again = True
    for header in headers:
        line = _lines.get(header) if type(header) is tuple else None
        if line is None:
            line, length = _check_header(header, special)
            if length is None:
                is_seen_again = is_seen_again and header in _lines
            elif content_length is not None:
                raise ApplicationError("Content-Length stands twice")
            else:
                content_length = length
        lines.append(line)
    if status_code == 204 and content_length is not None:
        lines = _without_length(lines)  # RFC 9110 section 8.6: never in a 204, yet frameworks set it everywhere
    elif status_code == 205:
        lines, content_length = [*_without_length(lines), "Content-Length: 0\r\n"], 0  # section 15.3.6: no content
    allows_content = has_content("GET", status_code)
    head = ResponseHead(
        status=status,
        status_code=status_code,
        headers=list(headers),
        encoded=(status_line(status) + "".join(lines)).encode("latin-1"),
        content_length=content_length,
        has_date=DATE in special,
        has_server=SERVER in special,
        allows_content=allows_content,
        plain_length=content_length if allows_content and not special else None,
    )
    if is_seen_again:
        _remember(_known.heads, key, head)
    return head


def _without_length(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.lower().startswith("content-length:")]


def early_hints(headers: list[tuple[str, str]]) -> bytes:
    """Return a 103 answer (RFC 8297) with these fields. Raises `ApplicationError` as `check_answer_head` does."""
    checked = check_answer_head("200 OK", headers)
    if checked.content_length is not None:
        raise ApplicationError("an interim response has no content, and no Content-Length")
    return b"HTTP/1.1 103 Early Hints\r\n" + checked.encoded.partition(b"\r\n")[2] + b"\r\n"


@lru_cache(maxsize=256)
def _check_known_status(status: str) -> tuple[str, int]:
    if not grammar.STATUS.fullmatch(status):
        raise ApplicationError(f"bad status {status!r}: three digits from 200 to 599, a space, a reason")
    return status, int(status[:3])


def _check_status(status: object) -> tuple[str, int]:
    if type(status) is not str:
        raise ApplicationError(f"the status must be a str, not {type(status).__name__}")
    return _check_known_status(status)


def _check_header(header: object, special: dict[int, str]) -> tuple[str, int | None]:
    """Return the field line, and of Content-Length its value; note in `special` a Date or Server of the application."""
    if type(header) is not tuple or len(header) != 2 or type(header[0]) is not str or type(header[1]) is not str:
        raise ApplicationError(f"a response header must be a tuple of two str, not {header!r}")
    name, value = header
    kind = _kinds.get(name)
    if kind is None:
        kind = _check_name(name)
    if kind == CONTENT_LENGTH and grammar.CONTENT_LENGTH.fullmatch(value):
        return f"{name}: {value}\r\n", int(value)
    if not grammar.FIELD_VALUE.fullmatch(value):
        raise ApplicationError(f"bad value of response header {name!r}: {value!r}")
    line = f"{name}: {value}\r\n"
    if kind == PLAIN:
        if len(value) <= MAX_CACHED_VALUE:
            _remember(_lines, header, line)
    elif kind == HOP_BY_HOP:
        raise ApplicationError(f"hop-by-hop header {name!r}: the connection is the server's (PEP 3333)")
    elif kind == CONTENT_LENGTH:
        raise ApplicationError(f"bad Content-Length {value!r}")
    elif kind != NEVER_CACHED:
        special[kind] = value
    return line, None


def _check_name(name: str) -> int:
    if not grammar.TOKEN.fullmatch(name):
        raise ApplicationError(f"bad response header name {name!r}")
    kind = _SPECIAL_NAMES.get(name.lower(), PLAIN)
    _remember(_kinds, name, kind)
    return kind


def _remember(cache: dict[K, T], key: K, found: T) -> None:
    if len(cache) >= MAX_CACHED:
        cache.clear()
    cache[key] = found


class DefaultFields:
    """The field lines that the server adds of its own: Date (RFC 9110 section 6.6.1) and Server.

    Formatted once a second. Any thread may call; two that meet at a new second both format it, which is harmless.
    """

    def __init__(self, server: str, *, tells_request_id: bool = False) -> None:
        self._tells_request_id = tells_request_id
        self._server = f"Server: {server}\r\n".encode("latin-1") if server else b""
        self._cached = (0, b"", b"", b"", b"")

    def __call__(self) -> bytes:
        """Return both lines."""
        return self._at(int(time.time()))[1]

    def last(self, keeps_alive: bool) -> bytes:
        """Return both lines, `Connection: close` where it is to be said, and the empty line that ends a head."""
        second = int(time.time())
        cached = self._cached
        if cached[0] != second:
            cached = self._at(second)
        return cached[3] if keeps_alive else cached[4]

    def of_own_answer(self, request_id: str) -> str:
        """Return both lines, and the request's id where answers tell it, for an answer that the server itself makes."""
        lines = self().decode("latin-1")
        return f"{lines}{FIELD}: {request_id}\r\n" if request_id and self._tells_request_id else lines

    def without(self, *, date: bool, server: bool) -> bytes:
        """Return the lines that the application did not give itself."""
        date_line = self._at(int(time.time()))[2]
        return (b"" if date else date_line) + (b"" if server else self._server)

    def _at(self, second: int) -> tuple[int, bytes, bytes, bytes, bytes]:
        cached = self._cached
        if cached[0] != second:
            t = time.gmtime(second)
            date = imf_fixdate(t.tm_year, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, t.tm_wday)
            date_line = f"Date: {date}\r\n".encode("ascii")
            both = date_line + self._server
            cached = self._cached = (second, both, date_line, both + b"\r\n", both + b"Connection: close\r\n\r\n")
        return cached
