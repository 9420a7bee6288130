"""Responses to pipelined requests: the kernel may hold one back for the next, and never for longer than that."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.net.connection_states import State
from ropewalk.portable import MSG_MORE
from tests.helpers.connections import Surroundings

pytestmark = pytest.mark.skipif(not MSG_MORE, reason="a function of Linux")

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CONTENT = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class HoldingSocket(socket.socket):
    """Knows whether the kernel may hold octets back."""

    is_held = False

    def send(self, octets: Any, flags: int = 0) -> int:
        self.is_held = bool(flags & MSG_MORE)
        return super().send(octets, flags)

    def setsockopt(self, *args: Any) -> None:
        if args[1] == socket.TCP_NODELAY:
            self.is_held = False
        super().setsockopt(*args)


@contextmanager
def tcp_pair() -> Iterator[tuple[socket.socket, HoldingSocket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as peer:
        accepted, _ = listener.accept()
        with HoldingSocket(fileno=accepted.detach()) as ours:
            peer.settimeout(20)
            ours.setblocking(False)
            yield peer, ours


def read(peer: socket.socket, count: int) -> bytes:
    octets = b""
    while len(octets) < count:
        part = peer.recv(count - len(octets))
        assert part, octets
        octets += part
    return octets


@given(
    requests=st.lists(st.sampled_from([HEAD, CONTENT]), min_size=1, max_size=8),
    last=st.sampled_from([b"", CLOSE, CONTENT[:-1], b"BAD\r\n\r\n"]),
    interrupted=st.sets(st.integers(0, 8)),
)
def test_nothing_is_held_back_once_the_connection_waits(
    requests: list[bytes], last: bytes, interrupted: set[int]
) -> None:
    surroundings = Surroundings()
    with tcp_pair() as (peer, sock):
        connection = surroundings.connection(sock)
        peer.sendall(b"".join(requests) + last)
        expected = b""
        while connection.receive():
            if connection.requests in interrupted:  # the other thread comes
                while surroundings.soon:
                    surroundings.soon.pop()()
                assert not sock.is_held
            connection.exchange = object()
            response = b"HTTP/1.1 200 OK\r\nX-Number: %d\r\nContent-Length: 0\r\n\r\n" % connection.requests
            expected += response
            connection.set_response(response)
            connection.send()
            assert not sock.is_held or surroundings.soon
            if connection.state is State.CLOSED:
                break
        assert connection.requests == len(requests) + (last == CLOSE)
        assert not sock.is_held
        assert read(peer, len(expected)) == expected
        connection.close()
        for push in surroundings.soon:  # which may come late
            push()


def test_a_response_before_a_whole_request_is_held_back_and_pushed_once() -> None:
    surroundings = Surroundings()
    with tcp_pair() as (peer, sock):
        connection = surroundings.connection(sock)
        peer.sendall(HEAD * 3)
        held = []
        for _ in range(3):
            assert connection.receive()
            connection.set_response(b"HTTP/1.1 204 No Content\r\n\r\n")
            connection.send()
            held.append(sock.is_held)
        assert held == [True, True, False]
        assert len(surroundings.soon) == 1
        connection.close()
