"""Where ropewalk and gunicorn answer differently and are meant to: what, why, and what exactly each says."""

import hashlib
from dataclasses import dataclass
from typing import Any

from .exchanges import CONTAINERS, EVERYWHERE, PROCESSES
from .seen import Seen
from .visitor import Visitor


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


_KEPT = ["kept, and then 200 OK 'ok\\n'"]
_UNREAD = (
    "gunicorn ends the connection when the application has not read the body, though it has said keep-alive; "
    "ropewalk has received the whole body before the application runs, and keeps the connection"
)
_NO_LENGTH = (
    "gunicorn gives the application of a chunked body no CONTENT_LENGTH, and Django then takes the body for empty; "
    "ropewalk gives the length of the decoded body, so that chunked bodies simply work"
)

EMPTY = {"length": 0, "sha256": hashlib.sha256().hexdigest()}


def _body(content: bytes) -> dict[str, Any]:
    return {"length": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _answer(status: str, *, body: bytes = b"", **fields: str) -> Like:
    """An answer of this status, with these fields, and with this somewhere in its body."""

    def is_so(seen: Seen) -> bool:
        given = {name.lower(): value for name, value in seen.fields}
        return seen.status == status and body in seen.body and fields.items() <= given.items()

    return Like(is_so)


SOMETHING = Like(lambda value: value not in (None, ""))
DIGITS = Like(lambda value: isinstance(value, int) and value > 1)

INTENDED: list[Intended] = []


def intended(exchange: str, what: str, ropewalk: Any, gunicorn: Any, reason: str, **more: Any) -> None:
    INTENDED.append(Intended(exchange, what, ropewalk, gunicorn, reason, **more))


# Chunked bodies; behind nginx, which gives every request a length, there is no difference.
_HEMP = b"hemp" + b"tar" * 1000 + b"x"
intended("chunked_body", "json body", _body(_HEMP), EMPTY, _NO_LENGTH, where=(PROCESSES,))
intended("chunked_body", "json headers.Content-Length", "3005", None, _NO_LENGTH, where=(PROCESSES,))
_TINY = "chunked_body_in_many_small_chunks"
intended(_TINY, "json body", _body(b"y" * 2000), EMPTY, _NO_LENGTH, where=(PROCESSES,))
intended(_TINY, "json headers.Content-Length", "2000", None, _NO_LENGTH, where=(PROCESSES,))
_TRAILERS = "chunked_body_with_trailers"
intended(_TRAILERS, "json body", _body(b"hemp"), EMPTY, _NO_LENGTH, where=(PROCESSES,))
intended(_TRAILERS, "json headers.Content-Length", "4", None, _NO_LENGTH, where=(PROCESSES,))
_EMPTY = "chunked_body_that_is_empty"
intended(_EMPTY, "json headers.Content-Length", "0", None, _NO_LENGTH, where=(PROCESSES,))
for _exchange, _location in {"chunked_form": "/", "upload_in_chunks": "/papers"}.items():
    _refused = _answer("403 Forbidden", body=b"This form is not from here")
    _taken = _answer("302 Found", location=_location)
    intended(_exchange, "answer", _taken, _refused, _NO_LENGTH, where=(PROCESSES,))

# Bodies that the application leaves
for _exchange in ("form_that_is_too_large", "large_body_that_nobody_reads"):
    intended(_exchange, "endings", _KEPT, ["ended against its word"], _UNREAD, where=(PROCESSES,))

# The page about the server
_OWN = "each tells about itself"
intended("served by", "json backend", "ropewalk", "gunicorn", _OWN)
for _key in ("backend_version", "thread", "request_id"):
    intended("served by", f"json {_key}", SOMETHING, SOMETHING, _OWN)
intended("served by", "json process", DIGITS, DIGITS, _OWN)
for _key in ("client_address", "forwarded_for", "queue_milliseconds"):
    _why = "each is in a network of its own"
    intended("served by", f"json {_key}", SOMETHING, SOMETHING, _why, where=(CONTAINERS,))
