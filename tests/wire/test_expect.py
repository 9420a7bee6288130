"""Expect: 100-continue (RFC 9110 section 10.1.1): when 100 is sent before the content, and when it is not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

import ropewalk
from tests.helpers.wire.client import PATIENCE, Reader
from tests.helpers.wire.recorder import Recorder

HEAD = b"POST / HTTP/1.%d\r\nHost: a\r\nExpect: 100-continue\r\n%b\r\n"


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def address(recorder: Recorder) -> Iterator[tuple[str, int]]:
    with ropewalk.Server(recorder, bind="127.0.0.1:0", limit_request_body=1000) as server:
        yield server.address


@pytest.fixture
def sock(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=PATIENCE) as sock:
        yield sock


@pytest.mark.parametrize("framing", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_100_is_sent_to_a_peer_that_waits(sock: socket.socket, framing: bytes):
    reader = Reader(sock)
    sock.sendall(HEAD % (1, framing))
    interim = reader.read_response()
    assert interim is not None
    assert (interim.status_code, interim.fields) == (100, {})
    sock.sendall(b"hello" if b"Length" in framing else b"5\r\nhello\r\n0\r\n\r\n")
    final = reader.read_response()
    assert final is not None
    assert final.status_code == 200
    assert b'"body": "hello"' in final.content


def test_100_is_sent_once_for_each_request_of_a_connection(sock: socket.socket):
    reader = Reader(sock)
    for _ in range(3):
        sock.sendall(HEAD % (1, b"Content-Length: 2\r\n"))
        assert status_of(reader) == 100
        sock.sendall(b"a")
        sock.sendall(b"b")
        assert status_of(reader) == 200


def test_100_comes_after_the_response_to_an_earlier_request(sock: socket.socket):
    reader = Reader(sock)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + HEAD % (1, b"Content-Length: 2\r\n"))
    assert [status_of(reader), status_of(reader)] == [200, 100]
    sock.sendall(b"ab")
    assert status_of(reader) == 200


@pytest.mark.parametrize(
    ("minor", "framing", "status_code"),
    [
        (1, b"Content-Length: 1001\r\n", 413),  # it need not send what would be refused
        (1, b"Content-Length: x\r\n", 400),
        (1, b"Transfer-Encoding: gzip\r\n", 501),
        (1, b"Content-Length: 0\r\n", 200),  # there is nothing to wait for
        (1, b"", 200),
    ],
)
def test_the_final_response_comes_at_once_where_nothing_is_awaited(
    sock: socket.socket, minor: int, framing: bytes, status_code: int
):
    sock.sendall(HEAD % (minor, framing))
    assert status_of(Reader(sock)) == status_code


def test_a_peer_of_http_1_0_gets_no_100(sock: socket.socket):
    sock.sendall(HEAD % (0, b"Content-Length: 2\r\n"))
    sock.sendall(b"ab")
    assert status_of(Reader(sock)) == 200


def test_content_that_is_there_already_gets_no_100(sock: socket.socket):
    sock.sendall(HEAD % (1, b"Content-Length: 2\r\n") + b"ab")
    assert status_of(Reader(sock)) == 200


def test_a_peer_that_leaves_instead_reaches_nothing(address: tuple[str, int], recorder: Recorder):
    with socket.create_connection(address, timeout=PATIENCE) as sock:
        port = sock.getsockname()[1]
        sock.sendall(HEAD % (1, b"Content-Length: 2\r\n"))
        reader = Reader(sock)
        assert status_of(reader) == 100
        sock.shutdown(socket.SHUT_WR)
        assert reader.read_response() is None
    assert recorder.take(port) == []


def status_of(reader: Reader) -> int:
    response = reader.read_response()
    assert response is not None
    return response.status_code
