"""Where ropewalk and gunicorn answer differently and are meant to: what, why, and what exactly each says."""

import hashlib
from dataclasses import dataclass
from typing import Any

from tests.helpers.parity.seen import Seen
from tests.helpers.parity.visitor import Visitor
from tests.parity.exchanges import CONTAINERS, EVERYWHERE, PROCESSES


class Like:
    """Stands for every value that a test accepts."""

    def __init__(self, test) -> None:
        self._test = test

    def __eq__(self, other: object) -> bool:
        return bool(self._test(other))

    __hash__ = None


@dataclass(frozen=True, slots=True)
class Intended:
    exchange: str
    what: str  # as Seen.take reads it, or "endings"
    ropewalk: Any
    gunicorn: Any
    reason: str
    answer: int = -1  # which of the exchange's answers
    where: tuple[str, ...] = EVERYWHERE

    def take(self, visitor: Visitor, seen: list[Seen]) -> Any:
        return visitor.endings if self.what == "endings" else seen[self.answer].take(self.what)

    def allows(self, backend: str, found: Any) -> bool:
        return getattr(self, backend) == found


_CLOSED = ["closed by the server"]
_KEPT = ["kept, and then 200 OK 'ok\\n'"]
_UNREAD = (
    "gunicorn ends the connection when the application has not read the body, though it has said keep-alive; "
    "ropewalk has received the whole body before the application runs, and keeps the connection"
)
_NO_LENGTH = (
    "gunicorn gives the application of a chunked body no CONTENT_LENGTH, and Django then takes the body for empty; "
    "ropewalk gives the length of the decoded body, so that chunked bodies simply work"
)
_WORDS = "the application is not asked, so the page is the server's own"


def _body(content: bytes) -> dict[str, Any]:
    return {"length": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _answer(status: str, *, body: bytes = b"", **fields: str) -> Like:
    """An answer whose status begins so, with these fields, and with this somewhere in its body."""

    def is_so(seen: Seen) -> bool:
        given = {name.lower(): value for name, value in seen.fields}
        return seen.status.startswith(status) and body in seen.body and fields.items() <= given.items()

    return Like(is_so)


SOMETHING = Like(lambda value: value not in (None, ""))
DIGITS = Like(lambda value: isinstance(value, int) and value > 1)

INTENDED: list[Intended] = []


def intended(exchange: str, what: str, ropewalk: Any, gunicorn: Any, reason: str, **more: Any) -> None:
    INTENDED.append(Intended(exchange, what, ropewalk, gunicorn, reason, **more))


# Chunked bodies; behind nginx, which gives every request a length, there is no difference.
_DECODED = "the body that the application reads is decoded, so it sees no transfer coding"
for _exchange, _content in {
    "chunked_body": b"hemp" + b"tar" * 1000 + b"x",
    "chunked_body_in_many_small_chunks": b"y" * 2000,
    "chunked_body_with_trailers": b"hemp",
    "chunked_body_that_is_empty": b"",
}.items():
    intended(_exchange, "json body", _body(_content), _body(b""), _NO_LENGTH, where=(PROCESSES,))
    _length = str(len(_content))
    intended(_exchange, "json headers.Content-Length", _length, None, _NO_LENGTH, where=(PROCESSES,))
    intended(_exchange, "json headers.Transfer-Encoding", None, "chunked", _DECODED, where=(PROCESSES,))
_REFUSED = _answer("403 Forbidden", body=b"Form not accepted")
_FORM = _answer(
    "422",  # its phrase depends on the version of Python
    body=b"at least one letter",
)
intended("chunked_form", "answer", _FORM, _REFUSED, _NO_LENGTH, where=(PROCESSES,))
_TAKEN = _answer("302 Found", location="/papers")
intended("upload_in_chunks", "answer", _TAKEN, _REFUSED, _NO_LENGTH, where=(PROCESSES,))
intended("upload_in_chunks", "endings", _KEPT, ["ended against its word"], _UNREAD, where=(PROCESSES,))

# Bodies that the application leaves
for _exchange in ("form_that_is_too_large", "large_body_that_nobody_reads"):
    intended(_exchange, "endings", _KEPT, ["ended against its word"], _UNREAD, where=(PROCESSES,))
_EARLY = (
    "gunicorn answers and closes before nginx has sent the whole body, and the answer may be lost: nginx then makes "
    "a 502 of it; ropewalk has the whole body before the application runs"
)


def _or_lost(answer: Like) -> Like:
    return Like(lambda seen: seen.status == "502 Bad Gateway" or answer == seen)


for _exchange, _answered in {
    "form_that_is_too_large": _answer("400 Bad Request", body=b"Bad request"),
    "large_body_that_nobody_reads": _answer("403 Forbidden"),
}.items():
    intended(_exchange, "answer", _answered, _or_lost(_answered), _EARLY, where=(CONTAINERS,))

# What the server itself refuses: the status mostly the same, the page in each one's own words
_BAD = ("400 Bad Request", "400 Bad Request")
_OK = "200 OK"
_REFUSALS = {
    "a field that is too large": ("431 Request Header Fields Too Large",) * 2,
    "too many fields": ("431 Request Header Fields Too Large",) * 2,
    "a target that is too long": ("414 URI Too Long",) * 2,
    "two hosts": _BAD,
    "a signed length": _BAD,
    "two lengths": _BAD,
    "a length and a transfer coding": _BAD,
    "a blank before the colon": _BAD,
    "lines that end with LF": _BAD,
    "a folded line": _BAD,
    "a NUL in a field": _BAD,
    "a TLS greeting": _BAD,
    "an expectation nobody knows": ("417 Expectation Failed",) * 2,
    "no host": ("400 Bad Request", _OK),  # RFC 9112, section 3.2: MUST be 400
    "a fragment": ("400 Bad Request", _OK),  # RFC 9112, section 3.2.1: no part of a target
    "an unknown transfer coding": ("501 Not Implemented", "501 Bad Request"),  # RFC 9112, section 6.1
    "HTTP/2.0 in a request line": ("505 HTTP Version Not Supported", "400 Bad Request"),
    "a method in small letters": (_OK, "400 Bad Request"),  # a token like any other: RFC 9110, section 9.1
}
for _exchange, (_ours, _theirs) in _REFUSALS.items():
    intended(_exchange, "answer", _answer(_ours), _answer(_theirs), _WORDS, where=(PROCESSES,))
    if _OK in (_ours, _theirs):
        _ends = [_KEPT if _status == _OK else _CLOSED for _status in (_ours, _theirs)]
        intended(_exchange, "endings", *_ends, _WORDS, where=(PROCESSES,))
intended("a path with raw octets", "answer", _answer(_BAD[0]), _answer(_BAD[1]), _WORDS)

# Fields that come twice
_JOINED = (
    'fields of one name are joined by ", " (RFC 9110, section 5.3: "for consistency"); gunicorn leaves out the blank'
)
intended("a field twice", "json headers.X-Twice", "one, two", "one,two", _JOINED)
_COOKIES = (
    'Cookie is joined by "; " (RFC 9113, section 8.2.3): joined by a comma, two cookies become one that nobody sent'
)
intended("two Cookie fields", "json headers.Cookie", "a=1; b=2", "a=1,b=2", _COOKIES)

# Versions and connections
_VERSION = "the version in the status line is the server's own, 1.1, whatever the request's (RFC 9110, section 6.2)"
for _rest in ("", " without a host", " by HEAD", " and a stream", " and a body", " that keeps the connection"):
    intended(f"HTTP/1.0{_rest}", "version", "HTTP/1.1", "HTTP/1.0", _VERSION, where=(PROCESSES,))
_LIST = "Connection is a list (RFC 9110, section 7.6.1); gunicorn finds close only where it stands alone"
intended("Connection with several options", "endings", _CLOSED, _KEPT, _LIST, where=(PROCESSES,))
_NOTHING = "the application is done before anything was sent, so the length is known: 0"
for _exchange in ("a stream of nothing", "a redirect that appends a slash", "health by POST"):
    intended(_exchange, "framing", "length", "chunked", _NOTHING)
    intended(_exchange, "field Content-Length", "0", None, _NOTHING)
_VARY = (
    "nginx could compress a body of unknown length, and says so; it knows that there is nothing to compress in 0 bytes"
)
intended("a stream of nothing", "field Vary", None, "Accept-Encoding", _VARY, where=(CONTAINERS,))

# The page about the server
_OWN = "each tells about itself"
intended("served by", "json backend", "ropewalk", "gunicorn", _OWN)
for _key in ("backend_version", "thread", "request_id"):
    intended("served by", f"json {_key}", SOMETHING, SOMETHING, _OWN)
intended("served by", "json process", DIGITS, DIGITS, _OWN)
for _key in ("client_address", "forwarded_for", "queue_milliseconds"):
    _why = "each is in a network of its own"
    intended("served by", f"json {_key}", SOMETHING, SOMETHING, _why, where=(CONTAINERS,))
