"""Classes of request handlers and servers that a program has written for another server: what of them counts here.

No handler handles a connection: `ropewalk.runtime.service` does. One is made for each request and, after the response,
another for its line in the log.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from functools import cached_property
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn
from typing import Any

from ropewalk.logs.escape import printable

REFUSED_LINE = "ropewalk.refused_line"
"""In the environ of a request that is refused without a valid request line: what came in its place."""

TLS_HANDSHAKE = b"\x16\x03"
"""RFC 8446 section 5.1: how a record with a handshake begins."""

SHOWN_CHARACTERS = 200


class RequestFacts(BaseHTTPRequestHandler):
    """What a handler knows of its request, from the environ. The attributes are those of the standard library's."""

    request: Any = None  # the original's socket, which is not the handler's here

    def __init__(self, environ: dict[str, Any], server: Any) -> None:  # no socket, unlike the original
        self.server = server
        self.environ = environ
        self.client_address = (environ.get("REMOTE_ADDR", ""), int(environ.get("REMOTE_PORT") or 0))
        self.command = environ.get("REQUEST_METHOD") or ""
        self.path = environ.get("RAW_URI") or ""
        self.request_version = environ.get("SERVER_PROTOCOL") or ""
        facts = filter(None, (self.command, self.path, self.request_version))
        self.requestline = environ.get(REFUSED_LINE) or " ".join(facts)

    @cached_property
    def headers(self) -> HTTPMessage:  # type: ignore[override]  # made of the environ, if anybody asks
        message = HTTPMessage()
        for name, value in self.environ.items():
            if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                message[name.removeprefix("HTTP_").replace("_", "-").title()] = value
        return message


def refused_line(octets: bytes) -> str:
    """The first line of what was received, printable; of TLS only the mark, by which a handler may know it."""
    if octets.startswith(TLS_HANDSHAKE):
        return TLS_HANDSHAKE.decode("latin-1")
    line = octets.partition(b"\n")[0].removesuffix(b"\r")
    return printable(line[:SHOWN_CHARACTERS].decode("latin-1"))


def above(given: type, own: type, replaced: type) -> Any:
    """`given`, whose base becomes `own` where it is the original that this replaces."""
    if issubclass(given, own):
        return given
    return own if given is replaced else type(given.__name__, (given, own), {})


def refuse_other_methods(given: type, honoured: AbstractSet[str], original: type, own: type) -> None:
    """Raises TypeError if a handler of the program's overrides a method of the original that is not called here."""
    known = {name for name in dir(original) if callable(getattr(original, name)) and not name.startswith("__")}
    handlers_of_methods = {name for each in given.__mro__ for name in vars(each) if name.startswith("do_")}
    refuse_overrides(given, (known | handlers_of_methods | {"__init__"}) - honoured, own)


def refuse_overrides(given: type, names: AbstractSet[str], own: type) -> None:
    """Raises TypeError, which names the method, if a class of the program's overrides one of `names`."""
    for each in given.__mro__[: given.__mro__.index(own)]:
        for name in names & vars(each).keys():
            if each is not ThreadingMixIn:
                raise TypeError(f"{each.__name__}.{name}: is not called by this server")
