"""What `start_response` is given, checked and encoded (PEP 3333, "The start_response() Callable").

Names are checked through a bounded cache, since an application uses few; values by one pattern over the whole block,
in which every line has to be exactly one field.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import NamedTuple

from ropewalk.errors import ApplicationError
from ropewalk.http import grammar
from ropewalk.http.answer import imf_fixdate

PLAIN, CONTENT_LENGTH, DATE, SERVER, HOP_BY_HOP = range(5)

# RFC 9110 section 7.6.1 and RFC 2616 section 13.5.1: they belong to the connection, which is the server's.
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
}

MAX_CACHED_NAMES = 1024
_names: dict[str, int] = {}


class AnswerHead(NamedTuple):
    """A checked status and header list. `block` is the field lines, each with its CRLF."""

    status: str
    status_code: int
    headers: list[tuple[str, str]]
    block: str
    content_length: int | None
    has_date: bool
    has_server: bool


def check_answer_head(status: str, headers: list[tuple[str, str]]) -> AnswerHead:
    """Check what the application gave to `start_response`. Raises `ApplicationError` that says what is wrong."""
    status, status_code = _check_status(status)
    if not isinstance(headers, (list, tuple)):
        raise ApplicationError(f"response headers must be a list, not {type(headers).__name__}")
    content_length: int | None = None
    has_date = has_server = False
    parts: list[str] = []
    for header in headers:
        name, value = _unpack(header)
        kind = _names.get(name)
        if kind is None:
            kind = _check_name(name)
        if kind:
            if kind == CONTENT_LENGTH:
                content_length = _check_length(value, content_length)
            elif kind == DATE:
                has_date = True
            elif kind == SERVER:
                has_server = True
            else:
                raise ApplicationError(f"hop-by-hop header {name!r}: the connection is the server's (PEP 3333)")
        parts += (name, ": ", value, "\r\n")
    block = "".join(parts)
    if len(grammar.FIELD_LINE.findall(block)) != len(headers) or block.count("\n") != len(headers):
        _find_bad_value(headers)
    if status_code == 204 and content_length is not None:
        # RFC 9110 section 8.6: never in a 204, yet frameworks set it for every answer
        block = "".join(f"{name}: {value}\r\n" for name, value in headers if name.lower() != "content-length")
    return AnswerHead(status, status_code, list(headers), block, content_length, has_date, has_server)


def early_hints(headers: list[tuple[str, str]]) -> bytes:
    """Return a 103 answer (RFC 8297) with these fields. Raises `ApplicationError` as `check_answer_head` does."""
    checked = check_answer_head("200 OK", headers)
    if checked.content_length is not None:
        raise ApplicationError("an interim response has no content, and no Content-Length")
    return f"HTTP/1.1 103 Early Hints\r\n{checked.block}\r\n".encode("latin-1")


@lru_cache(maxsize=256)
def _check_known_status(status: str) -> tuple[str, int]:
    if not grammar.STATUS.fullmatch(status):
        raise ApplicationError(f"bad status {status!r}: three digits from 200 to 599, a space, a reason")
    return status, int(status[:3])


def _check_status(status: object) -> tuple[str, int]:
    if type(status) is not str:
        raise ApplicationError(f"the status must be a str, not {type(status).__name__}")
    return _check_known_status(status)


def _unpack(header: object) -> tuple[str, str]:
    if not isinstance(header, tuple) or len(header) != 2 or type(header[0]) is not str or type(header[1]) is not str:
        raise ApplicationError(f"a response header must be a tuple of two str, not {header!r}")
    return header


def _check_name(name: str) -> int:
    if not grammar.TOKEN.fullmatch(name):
        raise ApplicationError(f"bad response header name {name!r}")
    kind = _SPECIAL_NAMES.get(name.lower(), PLAIN)
    if len(_names) < MAX_CACHED_NAMES:
        _names[name] = kind
    return kind


def _check_length(value: str, earlier: int | None) -> int:
    if earlier is not None:
        raise ApplicationError("Content-Length stands twice")
    if not grammar.CONTENT_LENGTH.fullmatch(value):
        raise ApplicationError(f"bad Content-Length {value!r}")
    return int(value)


def _find_bad_value(headers: list[tuple[str, str]]) -> None:
    for name, value in headers:
        if not grammar.FIELD_VALUE.fullmatch(value):
            raise ApplicationError(f"bad value of response header {name!r}: {value!r}")


class OwnFields:
    """The field lines that the server adds of its own: Date (RFC 9110 section 6.6.1) and Server.

    Formatted once a second. Any thread may call; two that meet at a new second both format it, which is harmless.
    """

    def __init__(self, server: str) -> None:
        self._server = f"Server: {server}\r\n" if server else ""
        self._cached = (0, "", "")

    def __call__(self) -> str:
        """Return both lines."""
        return self._at(int(time.time()))[1]

    def without(self, *, date: bool, server: bool) -> str:
        """Return the lines that the application did not give itself."""
        _, _, date_line = self._at(int(time.time()))
        return ("" if date else date_line) + ("" if server else self._server)

    def _at(self, second: int) -> tuple[int, str, str]:
        cached = self._cached
        if cached[0] != second:
            t = time.gmtime(second)
            date = imf_fixdate(t.tm_year, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, t.tm_wday)
            date_line = f"Date: {date}\r\n"
            cached = self._cached = (second, date_line + self._server, date_line)
        return cached
