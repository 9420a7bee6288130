"""Response framing and encoding (RFC 9112 sections 4, 6 and 7; RFC 9110 section 6.6.1 for Date).

Works on what an application or an error provides: the status, checked field lines, and the length of the content.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from ropewalk.http.head import HTTP_11
from ropewalk.http.status import reason_phrase

_WANTS_JSON = re.compile(r"application/(problem\+)?json", re.IGNORECASE)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Framing(Enum):
    """What delimits the content of a response (RFC 9112 section 6.3)."""

    NONE = auto()  # there is no content
    LENGTH = auto()  # Content-Length
    CHUNKED = auto()
    CLOSE = auto()  # the end of the connection; only for a peer that speaks HTTP/1.0


UNFRAMED: Final = Framing.NONE
BY_LENGTH: Final = Framing.LENGTH
BY_CHUNKS: Final = Framing.CHUNKED
BY_CLOSE: Final = Framing.CLOSE
"""By their bare names: in CPython 3.11 a look-up of an Enum's member is not cheap."""


def response_framing(is_content_allowed: bool, version: int, content_length: int | None) -> Framing:
    """Choose the framing; `content_length` is None while the content's length is not known.

    Whether content is allowed depends on method and status (`ropewalk.http.status.has_content`).
    """
    if not is_content_allowed:
        return UNFRAMED
    if content_length is not None:
        return BY_LENGTH
    return BY_CHUNKS if version >= HTTP_11 else BY_CLOSE


@lru_cache(maxsize=256)
def status_line(status: str) -> str:
    """`200 OK` as a status line: a server sends the highest version it conforms to (RFC 9110 section 2.5).

    The space after the status code is sent even without a reason phrase (RFC 9112 section 4).
    """
    return f"HTTP/1.1 {status[:3]} {status[4:]}\r\n"


def imf_fixdate(year: int, month: int, day: int, hour: int, minute: int, second: int, weekday: int) -> str:
    """Return a Date (RFC 9110 section 5.6.7); `weekday` 0 is Monday. The locale does not matter."""
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"


def error_response(status_code: int, method: str, *, extra: str, request_id: str = "", accept: str = "") -> bytes:
    """Return a whole response of the server itself, which closes the connection.

    `extra` holds the field lines of Date and Server, and further ones. The content repeats the status and reveals
    nothing of the cause; `request_id`, by which the log has it, is for the client to report. It has to be harmless in
    text and JSON. `accept` is the request's field: a program that asks for JSON gets problem details (RFC 9457). A
    response to HEAD has no content.
    """
    phrase = reason_phrase(status_code)
    if _WANTS_JSON.search(accept) and "text/html" not in accept.lower():
        media_type = "application/problem+json"
        named = f',"request_id":"{request_id}"' if request_id else ""
        content = f'{{"type":"about:blank","status":{status_code},"title":"{phrase}"{named}}}\n'
    else:
        media_type = "text/plain; charset=utf-8"
        named = f"Request ID: {request_id}\n" if request_id else ""
        content = f"{status_code} {phrase}\n{named}"
    head = (
        f"HTTP/1.1 {status_code} {phrase}\r\n{extra}Content-Type: {media_type}\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return (head if method == "HEAD" else head + content).encode("latin-1")
