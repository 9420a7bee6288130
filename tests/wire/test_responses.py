"""The server's own responses, octet for octet, and how they end."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

import ropewalk
from tests.helpers.wire.client import PATIENCE, converse
from tests.helpers.wire.recorder import Recorder


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with ropewalk.Server(Recorder(), bind="127.0.0.1:0", limit_request_body=100) as server:
        yield server.address


def received(address: tuple[str, int], octets: bytes) -> bytes:
    with socket.create_connection(address, timeout=PATIENCE) as sock:
        sock.sendall(octets)
        response = b""
        while data := sock.recv(65536):
            response += data
    return response


@pytest.mark.parametrize(
    ("fields", "status_code"),
    [
        (b"Content-Length: 101\r\n", 413),
        (b"Content-Length: x\r\n", 400),
        (b"X : y\r\n", 400),
        (b"Transfer-Encoding: gzip\r\n", 501),
        (b"Expect: x\r\n", 417),
        (b"X: " + b"y" * 9000 + b"\r\n", 431),
    ],
)
def test_a_refused_head_request_is_answered_without_content(address: tuple[str, int], fields: bytes, status_code: int):
    """RFC 9110 section 9.3.2: a client that sent HEAD expects none, and would read it as the next response."""
    response = received(address, b"HEAD / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
    assert response.startswith(b"HTTP/1.1 %d " % status_code)
    assert response.endswith(b"\r\n\r\n")
    assert response.count(b"\r\n\r\n") == 1


def test_a_response_survives_octets_that_nobody_reads(address: tuple[str, int]):
    """RFC 9112 section 9.6: the connection is closed in stages, so that the refusal is not reset away."""
    octets = b"GET / HTTP/1.1\r\nHost : a\r\n\r\n" + b"x" * 500_000
    conversation = converse(address, [octets], responses=1, stays_open=False)
    assert conversation.statuses == [400]
    assert conversation.ended


def test_a_refusal_says_nothing_of_what_was_sent(address: tuple[str, int]):
    response = received(address, b"GET /<script> HTTP/1.1\r\nHost: a\r\nX-Secret : <script>\r\n\r\n")
    assert b"script" not in response
    assert b"Content-Type: text/plain; charset=utf-8\r\n" in response


def test_an_https_target_without_tls_is_misdirected(address: tuple[str, int]):
    """RFC 9110 section 7.4; the request reader accepts it: only the connection knows its scheme."""
    response = received(address, b"GET https://a/b HTTP/1.1\r\nHost: a\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 421 Misdirected Request\r\n")


def test_an_https_target_from_a_trusted_gateway_that_had_tls_is_served(address: tuple[str, int]):
    request = b"GET https://a/b HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
    assert received(address, request).startswith(b"HTTP/1.1 200 OK\r\n")
