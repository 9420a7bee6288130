"""The arguments of `start_response`, checked and encoded (PEP 3333, "The start_response() Callable").

Each header is checked against the grammar once: its line is kept in a bounded cache, and found there the next time.

What the application gives is `Any` here until it is checked: a compiled function checks the types of its arguments
itself, and would raise its own error.
"""

from __future__ import annotations

import sys
import threading
import time
from functools import lru_cache
from typing import Any, Final, TypeVar

from ropewalk.errors import ApplicationError
from ropewalk.http import grammar
from ropewalk.http.response import imf_fixdate, status_line
from ropewalk.http.status import has_content
from ropewalk.wsgi.request_id import FIELD

K = TypeVar("K")
T = TypeVar("T")

PLAIN: Final = 0
CONTENT_LENGTH: Final = 1
DATE: Final = 2
SERVER: Final = 3
DROPPED: Final = 4
REFUSED: Final = 5
NOT_CACHED: Final = 6

# Hop-by-hop (RFC 9110 section 7.6.1, RFC 2616 section 13.5.1): they belong to the connection, and so to the server.
# Dropped: those without which the response means the same; many examples of server-sent events set them, and gunicorn
# drops them too. Refused: what changes how the content is read.
# Not cached: values that are secret or different each time, which would only evict the others.
_SPECIAL_NAMES = {
    "content-length": CONTENT_LENGTH,
    "date": DATE,
    "server": SERVER,
    "connection": DROPPED,
    "keep-alive": DROPPED,
    "proxy-authenticate": DROPPED,
    "proxy-authorization": DROPPED,
    "proxy-connection": DROPPED,
    "te": DROPPED,
    "trailer": DROPPED,
    "trailers": DROPPED,
    "transfer-encoding": REFUSED,
    "upgrade": REFUSED,
    "set-cookie": NOT_CACHED,
    "etag": NOT_CACHED,
    "last-modified": NOT_CACHED,
    "location": NOT_CACHED,
    "x-request-id": NOT_CACHED,
}

# Field lines and names that have been checked: an application repeats most of them.
MAX_CACHED: Final = 1024
MAX_CACHED_VALUE: Final = 128
_line_cache: Final[dict[object, tuple[str, tuple[str, str]]]] = {}  # by header: the line, and the header as plain str
_name_cache: Final[dict[str, int]] = {}  # by name, as the application spells it

_reported: set[str] = set()  # names of headers that were dropped, in lower case: no more than are in the table above


class ResponseHead:
    """A checked status and header list. `encoded` is the status line and the field lines, each with its CRLF.

    `dropped` are the names of headers that are not sent.
    `plain_length` is the length of the content if everything else depends on the request alone: there is a
    Content-Length, the status allows content, and Date and Server are left to the server. None otherwise.
    Immutable. A class with slots, which are read at each response, and faster than the fields of a tuple.
    """

    __slots__ = (
        "allows_content",
        "content_length",
        "dropped",
        "encoded",
        "has_date",
        "has_server",
        "headers",
        "plain_length",
        "status",
        "status_code",
    )

    def __init__(
        self,
        *,
        status: str,
        status_code: int,
        headers: list[tuple[str, str]],
        encoded: bytes = b"",
        content_length: int | None = None,
        has_date: bool = False,
        has_server: bool = False,
        allows_content: bool = True,
        plain_length: int | None = None,
        dropped: tuple[str, ...] = (),
    ) -> None:
        self.status = status
        self.status_code = status_code
        self.headers = headers
        self.encoded = encoded
        self.content_length = content_length
        self.has_date = has_date
        self.has_server = has_server
        self.allows_content = allows_content
        self.plain_length = plain_length
        self.dropped = dropped


_shared_heads: Final[dict[tuple[object, ...], ResponseHead]] = {}
"""Whole heads, by the arguments of `start_response`: those of a response of the same kind and size."""

_own: Final = threading.local()
"""`heads`: the same for threads that run in parallel, each has its own.

A key that another thread made can only be compared under the lock of the dict (`ropewalk.threads.free_threading`).
An instance of `local` itself: a compiled class that inherits from it would put its attributes where `local` has others.
"""

_is_gil_enabled: Final[bool] = getattr(sys, "_is_gil_enabled", lambda: True)()  # since Python 3.13


def cached_heads() -> dict[tuple[object, ...], ResponseHead]:
    """The heads that this thread may find."""
    if _is_gil_enabled:
        return _shared_heads
    try:
        heads: dict[tuple[object, ...], ResponseHead] = _own.heads
    except AttributeError:
        heads = _own.heads = {}
    return heads


def check_response_head(status: Any, headers: Any) -> ResponseHead:
    """Check the arguments of `start_response`. Raises `ApplicationError`, which says what is wrong."""
    if not isinstance(headers, (list, tuple)):
        raise ApplicationError(f"response headers must be a list, not {type(headers).__name__}")
    key = (status, *headers)
    # fast path of `_check`; test_a_cached_head_is_that_of_the_check holds them equal
    try:
        cached = (_shared_heads if _is_gil_enabled else cached_heads()).get(key)
    except TypeError:  # not hashable, so not all tuples of str: the check finds which
        cached = None
    return _check(status, headers) if cached is None else cached


def _check(given_status: Any, headers: Any) -> ResponseHead:
    status, status_code = _check_status(given_status)
    content_length: int | None = None
    special: dict[int, str] = {}
    lines: list[str] = []
    is_cacheable = True
    dropped: list[str] = []
    plain: list[tuple[str, str]] = []
    for given in headers:
        try:
            cached = _line_cache.get(given)
        except TypeError:  # as above
            cached = None
        if cached is not None:
            line, header = cached
        else:
            line, header, length = _check_header(given, special)
            if not line:
                dropped.append(header[0])
                is_cacheable = False
                continue
            if length is None:
                is_cacheable = is_cacheable and header in _line_cache
            elif content_length is not None:
                raise ApplicationError("there are two Content-Length headers")
            else:
                content_length = length
        lines.append(line)
        plain.append(header)
    if status_code == 204 and content_length is not None:
        lines = _without_content_length(lines)  # not allowed (RFC 9110 section 8.6), but frameworks set it everywhere
    elif status_code == 205:
        lines, content_length = [*_without_content_length(lines), "Content-Length: 0\r\n"], 0  # 15.3.6
    allows_content = has_content("GET", status_code)
    head = ResponseHead(
        status=status,
        status_code=status_code,
        headers=plain,
        encoded=(status_line(status) + "".join(lines)).encode("latin-1"),
        content_length=content_length,
        has_date=DATE in special,
        has_server=SERVER in special,
        allows_content=allows_content,
        plain_length=content_length if allows_content and not special and not dropped else None,
        dropped=tuple(dropped),
    )
    if is_cacheable:
        _cache(cached_heads(), (status, *plain), head)
    return head


def _without_content_length(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.lower().startswith("content-length:")]


def early_hints(headers: Any) -> tuple[bytes, tuple[str, ...]]:
    """Return a 103 response (RFC 8297) with these fields, and the names of headers that it leaves out.

    Raises `ApplicationError` as `check_response_head` does.
    """
    checked = check_response_head("200 OK", headers)
    if checked.content_length is not None:
        raise ApplicationError("an interim response has no content and no Content-Length")
    return b"HTTP/1.1 103 Early Hints\r\n" + checked.encoded.partition(b"\r\n")[2] + b"\r\n", checked.dropped


@lru_cache(maxsize=256)
def _check_status_text(status: str) -> tuple[str, int]:
    if not grammar.STATUS.fullmatch(status):
        raise ApplicationError(f"bad status {status!r}: must be a number from 200 to 999, a space and a reason")
    return status, int(status[:3])


def _check_status(status: object) -> tuple[str, int]:
    if not isinstance(status, str):
        raise ApplicationError(f"the status must be a str, not {type(status).__name__}")
    return _check_status_text(str.__str__(status))


def _check_header(given: object, special: dict[int, str]) -> tuple[str, tuple[str, str], int | None]:
    """Return the field line ("" to drop it), the header as plain str, and the value if it is Content-Length.

    Records a Date or Server field in `special`. What was given may be of classes of tuple and str, such as a named
    tuple, a StrEnum or marked text: what counts is the text that they hold, not what their methods return.
    """
    if not (isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str) and isinstance(given[1], str)):
        raise ApplicationError(f"a response header must be a tuple of two str, not {given!r}")
    name, value = header = str.__str__(given[0]), str.__str__(given[1])  # a plain str is returned itself
    kind = _name_cache.get(name)
    if kind is None:
        kind = _check_name(name)
    if kind == CONTENT_LENGTH and grammar.CONTENT_LENGTH.fullmatch(value):
        return "".join((name, ": ", value, "\r\n")), header, int(value)
    if not grammar.FIELD_VALUE.fullmatch(value):
        raise ApplicationError(f"bad value of response header {name!r}: {value!r}")
    line = "".join((name, ": ", value, "\r\n"))
    if kind == PLAIN:
        if len(value) <= MAX_CACHED_VALUE:
            _cache(_line_cache, header, (line, header))
    elif kind == DROPPED:
        return "", header, None
    elif kind == REFUSED:
        raise ApplicationError(f"hop-by-hop header {name!r}: only the server may set it (PEP 3333)")
    elif kind == CONTENT_LENGTH:
        raise ApplicationError(f"bad Content-Length {value!r}")
    elif kind != NOT_CACHED:
        special[kind] = value
    return line, header, None


def newly_dropped(names: tuple[str, ...]) -> list[str]:
    """Those of the names that are dropped for the first time in this process, for the log."""
    new = []
    for name in names:
        if name.lower() not in _reported:
            _reported.add(name.lower())
            new.append(name)
    return new


def _check_name(name: str) -> int:
    if not grammar.TOKEN.fullmatch(name):
        raise ApplicationError(f"bad response header name {name!r}")
    kind = _SPECIAL_NAMES.get(name.lower(), PLAIN)
    _cache(_name_cache, name, kind)
    return kind


def _cache(cache: dict[K, T], key: K, found: T) -> None:
    if len(cache) >= MAX_CACHED:
        cache.clear()
    cache[key] = found


class _LinesOfSecond:
    """The field lines of `DefaultFields` in one second, and with what may follow them at the end of a head.

    One object, not a tuple: threads that run in parallel would see a compiled attribute that is a tuple half assigned.
    """

    __slots__ = ("both", "closing", "date", "keeping", "second")

    def __init__(self, second: int, date: bytes, server: bytes) -> None:
        self.second: Final = float(second)
        self.date: Final = date
        self.both: Final = date + server
        self.keeping: Final = self.both + b"\r\n"
        self.closing: Final = self.both + b"Connection: close\r\n\r\n"


class DefaultFields:
    """The field lines that the server adds: Date (RFC 9110 section 6.6.1) and Server.

    Formatted once a second, by the first thread that needs them; that two threads may do so at once is harmless.
    """

    def __init__(self, server: str, *, sends_request_id: bool = False) -> None:
        self._sends_request_id = sends_request_id
        self._server = f"Server: {server}\r\n".encode("latin-1") if server else b""
        self._lines = _LinesOfSecond(-1, b"", b"")

    def __call__(self) -> bytes:
        """Return both lines."""
        return self._at(int(time.time())).both

    def tail(self, keeps_alive: bool) -> bytes:
        """Return both lines, `Connection: close` unless the connection is kept alive, and the line that ends a head."""
        # fast path of `__call__`; test_the_tail_of_a_head_is_that_of_the_general_path holds them equal
        lines = self._lines
        if not 0.0 <= time.time() - lines.second < 1.0:
            lines = self._at(int(time.time()))
        return lines.keeping if keeps_alive else lines.closing

    def for_error_response(self, request_id: str) -> str:
        """Return both lines, and the request's id if responses have it, for a response of the server itself."""
        lines = self().decode("latin-1")
        return f"{lines}{FIELD}: {request_id}\r\n" if request_id and self._sends_request_id else lines

    def without(self, *, date: bool, server: bool) -> bytes:
        """Return the lines except those that the application has set."""
        lines = self._at(int(time.time()))
        return (b"" if date else lines.date) + (b"" if server else self._server)

    def _at(self, second: int) -> _LinesOfSecond:
        lines = self._lines
        if lines.second != second:
            t = time.gmtime(second)
            date = imf_fixdate(t.tm_year, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, t.tm_wday)
            lines = self._lines = _LinesOfSecond(second, f"Date: {date}\r\n".encode("ascii"), self._server)
        return lines
