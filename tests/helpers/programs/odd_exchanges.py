"""Odd applications and odd requests, chosen at random: `odd_exchanges.py SEED COUNT` prints what comes of them.

Equal seeds make equal cases. For each case, a line of JSON: its number, the response, and what was logged, without what
differs from run to run.
"""

from __future__ import annotations

import io
import json
import random
import re
import socket
import sys
from collections import OrderedDict, UserDict, UserList
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

import ropewalk
from tests.helpers.http_client import Client

DIFFERS = [
    (re.compile(r"\r\nDate: [^\r]*"), "\r\nDate: -"),
    (re.compile(r" at 0x[0-9a-f]+"), " at 0x-"),
    (re.compile(r"127\.0\.0\.1:\d+|\('127\.0\.0\.1', \d+\)"), "address"),
    (re.compile(r"(?m)^Traceback .*\n(?:[ \t].*\n)+"), ""),  # compiled code has no text of its lines
    (re.compile(r"[0-9a-f]{32}"), "id"),
]

FIELDS = b"Host: x\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nAccept: */*\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


class Text(str):
    """As frameworks mark text."""


class Octets(bytes):
    """As frameworks mark what is encoded."""


class Words(StrEnum):
    OK = "200 OK"


class Pair(NamedTuple):
    name: Any
    value: Any


class Odd:
    def __repr__(self) -> str:
        return "<odd>"


class Angry:
    """Raises whatever it is asked."""

    def _raise(self, *_: Any) -> Any:
        raise ValueError("planted")

    __iter__ = __len__ = __hash__ = __bool__ = __str__ = __eq__ = _raise

    def __repr__(self) -> str:
        return "<angry>"


class Indexed:
    """Iterable in the old way."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __getitem__(self, index: int) -> Any:
        return self._items[index]


class Iterating:
    """`__len__` need not be true."""

    close: Any

    def __init__(self, items: list[Any], length: Any, close: Any) -> None:
        self._items, self._length, self.close = items, length, close

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> Any:
        return self._length


class File:
    def __init__(self, blocks: list[Any], fileno: Any) -> None:
        self._blocks = blocks
        self.fileno = fileno

    def read(self, *_: Any) -> Any:
        return self._blocks.pop(0) if self._blocks else b""


class Chooser:
    """Makes the values of one case."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def one(self, *makers: Callable[[], Any]) -> Any:
        return self.random.choice(makers)()

    def rarely(self, odd: Callable[[], Any], usual: Callable[[], Any]) -> Any:
        return (odd if self.random.random() < 0.1 else usual)()

    def list_of(self, make: Callable[[], Any], most: int = 3) -> list[Any]:
        return [make() for _ in range(self.random.randint(0, most))]

    def text(self) -> str:
        text = "".join(self.random.choices("aB1-:; \t\r\n\0\x7f\xe9\u20ac\ud800_\"'/%", k=self.random.randint(0, 5)))
        return self.one(lambda: text, lambda: Text(text))  # type: ignore[no-any-return]  # odd on purpose

    def content(self) -> Any:
        octets = bytes(self.random.choices(range(256), k=self.random.choice([0, 1, 5, 5, 70_000])))
        return self.one(lambda: octets, lambda: octets, lambda: octets, lambda: Octets(octets))

    def value(self) -> Any:
        """Of any type."""
        number = self.random.choice([0, 1, -1, 5, 2**63, 2**70])
        return self.one(
            *(lambda: None, lambda: True, lambda: number, lambda: 1.5, lambda: float("nan"), Odd, Angry, self.text),
            *(self.content, lambda: bytearray(b"ok"), lambda: memoryview(b"ok"), lambda: Words.OK, lambda: Words),
            *(lambda: self.list_of(self.text), lambda: tuple(self.list_of(self.content)), lambda: {b"ok": "ok"}, dict),
            *(lambda: iter([b"ok"]), lambda: UserList([b"ok"]), UserDict, lambda: len, lambda: range(2), lambda: {5}),
        )

    def status(self) -> Any:
        usual = self.random.choice(["200 OK", "200", "404 Not Found", "204 No Content", "304 Not Modified", "299 \xe9"])
        odd = self.random.choice(["200OK", "20 OK", "100 Continue", "200 O\nK", " 200 OK", "\u0662\u0660\u0660 OK", ""])
        odd_type = self.one(self.value, lambda: Text(usual), lambda: odd)
        return self.rarely(lambda: odd_type, lambda: usual)

    def header(self) -> Any:
        name = self.random.choice(["X-A", "x-a", "Content-Length", "Content-Type", "Date", "Server", "Set-Cookie"])
        odd_name = self.random.choice(["Connection", "Transfer-Encoding", "Upgrade", "X A", "", "X_A", self.text()])
        odd_value = self.random.choice(["-1", "+5", " 5", "\u0665", "5,5", "", self.text()])
        name, value = self.random.choice([(name, "5")] * 12 + [(odd_name, "5"), (name, odd_value)])
        pair = self.rarely(self.value, lambda: Text(name)), self.rarely(self.value, lambda: value)
        usual = (name, value)
        odd = self.one(lambda: Pair(*pair), lambda: list(pair), lambda: (*pair, "more"), lambda: pair, self.value)
        return self.rarely(lambda: odd, lambda: usual)

    def headers(self) -> Any:
        usual = self.list_of(self.header)
        return self.rarely(lambda: self.one(lambda: tuple(usual), lambda: UserList(usual), self.value), lambda: usual)

    def exc_info(self) -> Any:
        raised = ValueError("planted")
        return self.one(lambda: None, tuple, lambda: (ValueError, raised, None), self.value, lambda: (ValueError, None))

    def parts(self) -> list[Any]:
        return self.list_of(lambda: self.rarely(self.value, self.content))

    def close(self) -> Any:
        def fail() -> None:
            raise OSError("planted")

        return self.one(lambda: None, lambda: lambda: None, lambda: fail, self.value)

    def file(self, wrapper: Callable[..., Any]) -> Any:
        filelike = self.one(
            lambda: io.BytesIO(b"ok" * 5),
            lambda: io.StringIO("ok"),
            lambda: File(self.parts(), self.one(self.value, lambda: lambda: 5, lambda: lambda: "five")),
            self.value,
        )
        return wrapper(filelike, *self.list_of(self.value, 1))

    def iterable(self, environ: dict[str, Any]) -> Any:
        parts, wrapper = self.parts(), environ.get("wsgi.file_wrapper")
        return self.one(
            *(lambda: parts, lambda: tuple(parts), lambda: (part for part in parts), lambda: Indexed(parts)),
            *(lambda: Iterating(parts, self.value(), self.close()), lambda: UserList(parts), self.value),
            *(lambda: dict.fromkeys("ab"), lambda: map(bytes, parts), lambda: b"".join, lambda: set(map(type, parts))),
            lambda: self.file(wrapper) if callable(wrapper) else [b"no wrapper"],
        )

    def change(self, environ: dict[str, Any]) -> dict[str, Any]:
        """Change the environ, and return it or a copy."""
        for name in self.random.sample(sorted(environ), self.random.randint(0, 3)):
            value = self.value()
            self.one(partial(environ.pop, name), partial(environ.update, {name: value}), partial(environ.get, name))
        copy = self.one(lambda: environ, environ.copy, lambda: OrderedDict(environ), lambda: UserDict(environ))
        self.rarely(environ.clear, lambda: None)
        return copy  # type: ignore[no-any-return]  # odd on purpose

    def read(self, environ: dict[str, Any]) -> None:
        source = environ.get("wsgi.input")
        method = getattr(source, self.random.choice(["read", "readline", "readlines", "seek"]), None)
        if callable(method):
            method(*self.list_of(self.value, 2))


def application_of(chooser: Chooser) -> Callable[..., Any]:
    def application(environ: Any, start_response: Any) -> Any:
        hints = environ["wsgi.early_hints"]
        environ = chooser.change(environ)
        steps: list[Callable[[], object]] = chooser.random.sample(
            [lambda: hints(chooser.headers()), lambda: chooser.read(environ), lambda: write(chooser.content())],
            chooser.random.choice([0, 0, 0, 1, 2]),
        )
        write: Any = start_response(chooser.status(), chooser.headers())
        for step in steps:
            step()
        if chooser.random.random() < 0.2:
            write(chooser.rarely(chooser.value, chooser.content))
        if chooser.random.random() < 0.2:
            start_response(chooser.status(), headers=chooser.headers(), exc_info=chooser.exc_info())
        return chooser.iterable(environ)

    return application


def request_of(chooser: Chooser) -> bytes:
    """Mostly valid: some octets of some are changed."""
    method = chooser.random.choice(["GET", "GET", "POST", "HEAD", "OPTIONS"])
    body = bytes(chooser.random.choices(range(256), k=chooser.random.choice([0, 7, 40_000])))
    framing = chooser.random.choice(
        [
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ]
    )
    fields = (
        b"Host: x\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nAccept: */*\r\n"
    )
    request = bytearray(f"{method} /a%20b?c=d HTTP/1.{chooser.random.choice('011')}\r\n".encode() + fields + framing)
    if chooser.random.random() < 0.15:
        for _ in range(chooser.random.randint(1, 3)):
            request[chooser.random.randrange(min(len(request), 200))] = chooser.random.choice(b"\r\n\0 \t:,%_/\xff0-A")
    return bytes(request)


def same_each_time(text: str) -> str:
    for pattern, replacement in DIFFERS:
        text = pattern.sub(replacement, text)
    return text


def run(number: int, seed: str) -> None:
    chooser, logged = Chooser(f"{seed} {number}"), []
    with ropewalk.Server(
        application_of(chooser),
        bind="127.0.0.1:0",
        threads=2,  # of a sole one that streams for long, on a busy machine, a warning is logged
        error_log=lambda level, text: logged.append(f"{level}: {text}"),
        errors=io.StringIO(),
        forwarded_allow_ips="127.0.0.1",
    ) as server:
        client = Client(server.address)
        with suppress(OSError):  # refused before it was sent
            client.send(request_of(chooser))
            client.sock.shutdown(socket.SHUT_WR)
        response = client.read_all().decode("latin-1")
        client.sock.close()
    if response.endswith("RESET"):
        response = "RESET"  # how much arrives before that is chance
    sys.stdout.write(json.dumps([number, same_each_time(response), [same_each_time(line) for line in logged]]) + "\n")


def main() -> None:
    seed, count = sys.argv[1:]
    for number in range(int(count)):
        run(number, seed)


main()
