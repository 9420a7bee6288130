"""What an application or a client may give that is of another type than expected: an error that says so, or accepted.

The compiled server checks types itself, and would raise an error of its own, which helps nobody. So the same messages
are expected of both builds.
"""

from __future__ import annotations

import io
import re
from collections import UserDict, UserList
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, NamedTuple

import pytest

import ropewalk
from tests.helpers.http_client import GET, Client

OF_THE_COMPILER = re.compile(r"object expected|expected; got|native int|undefined|was not set")
"""What compiled code says of a type."""


class Text(str):
    """As frameworks mark text."""


class Octets(bytes):
    """As frameworks mark what is encoded."""


class Words(StrEnum):
    OK = "200 OK"
    NAME = "X-Name"


class Header(NamedTuple):
    name: Any
    value: Any


class Headers(list[Any]):
    pass


class Odd:
    """Nothing that the protocol knows."""

    def __repr__(self) -> str:
        return "<odd>"


def starting(*arguments: Any, **named: Any) -> Callable[..., Any]:
    def application(environ: Any, start_response: Any) -> Any:
        start_response(*arguments, **named)
        return [b"ok"]

    return application


def returning(make: Callable[[], Any]) -> Callable[..., Any]:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return make()

    return application


def writing(content: Any) -> Callable[..., Any]:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])(content)
        return []

    return application


def hinting(headers: Any) -> Callable[..., Any]:
    def application(environ: Any, start_response: Any) -> Any:
        environ["wsgi.early_hints"](headers)
        start_response("200 OK", [])
        return [b"ok"]

    return application


def changing(change: Callable[[dict[str, Any]], object]) -> Callable[..., Any]:
    def application(environ: Any, start_response: Any) -> Any:
        change(environ)
        start_response("200 OK", [])
        return [b"ok"]

    return application


def spoil(environ: dict[str, Any]) -> None:
    for name in environ:
        environ[name] = Odd()


def raising(exc_info: Any, *, is_begun: bool) -> Callable[..., Any]:
    def application(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        if is_begun:
            write(b"begun")
        start_response("500 Internal Server Error", [], exc_info)
        return [b"error"]

    return application


class Closing:
    """An iterable whose `close` is not a function."""

    close = 5

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"ok"])


class OddFile(io.BytesIO):
    def fileno(self) -> Any:
        return "descriptor"


def in_wrapper(filelike: Any) -> Callable[..., Any]:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](filelike)

    return application


def reading(*size: Any) -> Callable[..., Any]:
    def application(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"].read(*size)
        return starting("200 OK", [])(environ, start_response)

    return application


ACCEPTED: dict[str, Callable[..., Any]] = {
    "status of a class of str": starting(Text("200 OK"), []),
    "status of an Enum": starting(Words.OK, []),
    "names of parameters": starting(status="200 OK", headers=[]),
    "headers of a class of list": starting("200 OK", Headers([("X-A", "b")])),
    "headers in a tuple": starting("200 OK", (("X-A", "b"),)),
    "header of a class of tuple": starting("200 OK", [Header(Words.NAME, Text("b"))]),
    "exc_info that is empty": starting("200 OK", [], ()),
    "exc_info of None": starting("200 OK", [], None),
    "exc_info before the response": raising((ValueError, ValueError("planted"), None), is_begun=False),
    "bytes of a class": returning(lambda: [Octets(b"ok")]),
    "bytes of a class, written": writing(Octets(b"ok")),
    "bytes of a class, yielded": returning(lambda: (part for part in [Octets(b"ok")])),
    "a list of a class": returning(lambda: Headers([b"ok"])),
    "what is like a list": returning(lambda: UserList([b"ok"])),
    "a set": returning(lambda: {b"ok"}),
    "keys of a dict": returning(lambda: {b"ok": 1}),
    "bytes": returning(lambda: b"ok"[:0]),
    "a file that is not plain": in_wrapper(OddFile(b"ok")),
    "an environ that is emptied": changing(lambda environ: environ.clear()),
    "an environ that is spoilt": changing(spoil),
    "hints in a tuple": hinting((Header("Link", Text("</a>")),)),
}

REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "status of bytes": (starting(b"200 OK", []), "the status must be a str, not bytes"),
    "status of int": (starting(200, []), "the status must be a str, not int"),
    "status of None": (starting(None, []), "the status must be a str, not NoneType"),
    "no headers": (starting("200 OK", None), "response headers must be a list, not NoneType"),
    "headers in a dict": (starting("200 OK", {"X-A": "b"}), "response headers must be a list, not dict"),
    "headers like a dict": (starting("200 OK", UserDict()), "response headers must be a list, not UserDict"),
    "headers that are generated": (starting("200 OK", iter([])), "response headers must be a list, not list_iterator"),
    "a header that is a list": (starting("200 OK", [["X-A", "b"]]), "must be a tuple of two str, not ['X-A', 'b']"),
    "a header of bytes": (starting("200 OK", [(b"X-A", b"b")]), "must be a tuple of two str, not (b'X-A', b'b')"),
    "a header of int": (starting("200 OK", [("X-A", 1)]), "must be a tuple of two str, not ('X-A', 1)"),
    "a header of None": (starting("200 OK", [None]), "must be a tuple of two str, not None"),
    "a header of three": (starting("200 OK", [("a", "b", "c")]), "must be a tuple of two str, not ('a', 'b', 'c')"),
    "a header that is odd": (starting("200 OK", [Odd()]), "must be a tuple of two str, not <odd>"),
    "a part of str": (returning(lambda: ["ok"]), "content must be bytes, not str"),
    "a part of None": (returning(lambda: [None]), "content must be bytes, not NoneType"),
    "a part of bytearray": (returning(lambda: [bytearray(b"ok")]), "content must be bytes, not bytearray"),
    "a part of memoryview": (returning(lambda: (memoryview(b"ok"),)), "content must be bytes, not memoryview"),
    "parts of int": (returning(lambda: b"ok"), "content must be bytes, not int"),
    "a generated part of str": (returning(lambda: (part for part in "ok")), "content must be bytes, not str"),
    "written str": (writing("ok"), "content must be bytes, not str"),
    "written None": (writing(None), "content must be bytes, not NoneType"),
    "written bytearray": (writing(bytearray(b"ok")), "content must be bytes, not bytearray"),
    "hints of str": (hinting("Link: </a>"), "response headers must be a list, not str"),
    "hints of None": (hinting(None), "response headers must be a list, not NoneType"),
    "no iterable": (returning(lambda: None), "returned None, not an iterable of bytes; is there a return missing?"),
    "a number": (returning(lambda: 5), "must return an iterable of bytes, not int"),
    "a file of text": (in_wrapper(io.StringIO("ok")), "content must be bytes, not str"),
    "exc_info that is no tuple": (raising(5, is_begun=True), "'int' object is not subscriptable"),
    "exc_info that is too short": (raising((ValueError,), is_begun=True), "tuple index out of range"),
    "exc_info of str": (raising("abc", is_begun=True), "'str' object has no attribute 'with_traceback'"),
    "close that is no function": (returning(Closing), "close() of the iterable raised TypeError"),
}


def ask(application: Callable[..., Any], request: bytes = GET) -> tuple[bytes, str]:
    """The response, and what was logged."""
    messages: list[str] = []
    errors = io.StringIO()
    with ropewalk.Server(
        application, bind="127.0.0.1:0", error_log=lambda level, text: messages.append(text), errors=errors
    ) as server:
        client = Client(server.address)
        client.send(request)
        response = client.read_all()
        client.sock.close()
    logged = "\n".join(messages)
    assert not OF_THE_COMPILER.search(logged), logged
    return response, logged


@pytest.mark.parametrize("name", ACCEPTED)
def test_it_is_accepted(name: str) -> None:
    response, logged = ask(ACCEPTED[name])
    assert response.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 103 ", b"HTTP/1.1 500 Internal Server Error\r\n"))
    assert logged == ""


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_a_reason(name: str) -> None:
    application, reason = REFUSED[name]
    response, logged = ask(application)
    assert reason in logged
    is_begun = "exc_info" in name or "close" in name
    assert is_begun or response.startswith(b"HTTP/1.1 500 ")
