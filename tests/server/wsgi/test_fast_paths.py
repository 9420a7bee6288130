"""Each fast path of an exchange sends what the general path sends, over a connection that keeps what it is given."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.http.head import HTTP_10, HTTP_11, RequestHead
from ropewalk.net.connection_states import State
from ropewalk.wsgi import exchange as exchange_module
from ropewalk.wsgi import response_head
from ropewalk.wsgi.exchange import Exchange
from ropewalk.wsgi.file_wrapper import FileWrapper
from ropewalk.wsgi.response_head import DefaultFields, ResponseHead
from tests.helpers.connections import ScriptedSocket, Surroundings
from tests.helpers.response_heads import values


class TakingSocket(ScriptedSocket):
    """Takes everything, files as a TLS socket does."""

    def __init__(self) -> None:
        super().__init__(b"", [])

    def send_file(self, fd: int, offset: int, count: int) -> int:
        return self.send(os.pread(fd, count, offset))

    def skip_close_notify(self) -> None: ...

    def shutdown(self, how: int) -> None: ...

    def close(self) -> None: ...


class Ask(NamedTuple):
    """A request, the response that the application declares, and the state of the connection."""

    method: str
    version: int
    status: str
    headers: list[tuple[str, str]]
    keeps_alive: bool
    allow_keep_alive: bool

    def run(self, iterable: Any) -> tuple[bytes, bool, bool, int]:
        """What is sent, whether it is cut, whether the connection is kept, and where the content begins."""
        sock = TakingSocket()
        connection = Surroundings().connection(sock)
        connection.state = State.RUNNING
        connection.keeps_alive = self.keeps_alive
        connection.config.allow_keep_alive = self.allow_keep_alive
        request = RequestHead(self.method, "/", "/", "", self.version, {})
        exchange = Exchange(connection, request, {}, DefaultFields("ropewalk"))

        def application(environ: Any, start_response: Any) -> Any:
            start_response(self.status, self.headers)
            return iterable

        if exchange.run(application):
            connection.send()
        connection.close()
        return sock.taken, connection.is_cut, connection.keeps_alive, exchange.content_from


def asks(*lengths: int) -> st.SearchStrategy[Ask]:
    """Of all kinds; a Content-Length, if there is one, is one of `lengths`."""
    length = st.sampled_from([[], *([("Content-Length", str(length))] for length in lengths)])
    others = st.lists(
        st.sampled_from([("Content-Type", "text/plain"), ("Date", "now"), ("Server", "own"), ("ETag", '"a"')]),
        max_size=2,
        unique=True,
    )
    return st.builds(
        Ask,
        st.sampled_from(["GET", "HEAD", "POST"]),
        st.sampled_from([HTTP_10, HTTP_11]),
        st.sampled_from(["200 OK", "201 Created", "204 No Content", "205 Reset Content", "304 Not Modified"]),
        st.builds(lambda one, more: [*one, *more], length, others),
        st.booleans(),
        st.booleans(),
    )


def at_one_moment() -> Any:
    return mock.patch.object(response_head.time, "time", return_value=1e9)


@settings(max_examples=600)
@given(asks(5, 5, 5, 0, 4, 6), st.sampled_from([b"hello", b"hello", b""]))
def test_a_whole_response_is_that_of_the_general_path(ask: Ask, content: bytes) -> None:
    head = response_head.check_response_head(ask.status, ask.headers)
    cache = {(ask.status, *ask.headers): ResponseHead(**values(head) | {"plain_length": None})}
    with at_one_moment():
        fast = ask.run([content])
        with mock.patch.dict(response_head.cached_heads(), cache):
            assert ask.run([content]) == fast


@settings(max_examples=600)
@given(asks(0, 2, 3, 4, 5, 7), st.lists(st.sampled_from([b"", b"he", b"llo", b"!!"]), max_size=4))
def test_an_iterable_that_is_not_streamed_sends_what_a_generator_streams(ask: Ask, parts: list[bytes]) -> None:
    class Parts:
        """An iterable that is not a generator, and so is not streamed if its first part completes the content."""

        def __iter__(self) -> Iterator[bytes]:
            return iter(parts)

    with at_one_moment():
        assert ask.run(Parts()) == ask.run(part for part in parts)


@settings(max_examples=600)
@given(asks(0, 3, 5, 9), st.sampled_from([b"", b"hello"]), st.integers(0, 6))
def test_a_file_that_is_read_is_sent_as_one_that_sendfile_sends(ask: Ask, content: bytes, position: int) -> None:
    def run() -> Any:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            opened = open(file.name, "rb")  # the exchange closes it
            opened.seek(position)
            return ask.run(FileWrapper(opened))

    with at_one_moment():
        fast = run()
        with mock.patch.object(exchange_module, "MAX_READ_FILE", -1):
            assert run() == fast
