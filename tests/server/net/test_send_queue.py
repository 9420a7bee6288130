"""A peer that reads slowly but steadily keeps its connection; one that takes nothing does not."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ropewalk.http.response import BY_CLOSE
from ropewalk.net.connection_states import State
from ropewalk.net.send_queue import queued_octets
from tests.helpers.connections import TIMEOUT, Surroundings
from tests.helpers.embedded import Talk
from tests.helpers.http_client import GET, PATIENCE, Client

CONTENT = bytes(20_000_000)
PIECE = 128 * 1024
"""What a slow reader takes at a time: less than a third of a send buffer, so the epoll reports no room."""

Pair = tuple[socket.socket, socket.socket]


def tcp_pair(stack: ExitStack) -> Pair:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = stack.enter_context(socket.socket())
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
        peer.connect(listener.getsockname())
        ours = stack.enter_context(listener.accept()[0])
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_000_000)
    return peer, ours


def unix_pair(stack: ExitStack) -> Pair:
    peer, ours = (stack.enter_context(each) for each in socket.socketpair())
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_000_000)
    return peer, ours


@pytest.fixture(params=[tcp_pair, unix_pair])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with ExitStack() as stack:
        peer, ours = request.param(stack)
        peer.settimeout(PATIENCE)
        ours.setblocking(False)
        yield peer, ours


class Clock:
    """The time, as the connection sees it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("ropewalk.net.connection.monotonic", clock)
    monkeypatch.setattr("ropewalk.net.streamed_response.monotonic", clock)
    return clock


def begin_response(ours: socket.socket, peer: socket.socket, *, streams: bool) -> Any:
    peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection = Surroundings().connection(ours)
    assert connection.receive()
    if streams:
        connection.stream_response(BY_CLOSE, None).write(CONTENT)
    else:
        connection.set_response(CONTENT)
        connection.send()
    return connection


class SlowReader(Client):
    """A client whose receive buffer is small, so that it takes no more than it reads."""

    def connect(self, address: Any) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        super().connect(address)


def read(peer: socket.socket, count: int) -> None:
    while count:
        count -= len(peer.recv(count))


def is_shut_down(ours: socket.socket) -> bool:
    try:
        return ours.send(b"x") == 0
    except BlockingIOError:
        return False
    except BrokenPipeError:
        return True


def test_the_queue_is_what_the_peer_has_not_taken(pair: Pair) -> None:
    peer, ours = pair
    assert queued_octets(ours.fileno()) == 0
    sent = ours.send(CONTENT)
    before = queued_octets(ours.fileno())
    assert before > 0
    read(peer, sent // 2)
    assert queued_octets(ours.fileno()) < before


@pytest.mark.parametrize("streams", [False, True])
def test_a_steady_slow_reader_keeps_its_connection(pair: Pair, clock: Clock, streams: bool) -> None:
    peer, ours = pair
    connection = begin_response(ours, peer, streams=streams)
    for _ in range(10):
        read(peer, PIECE)
        for _ in range(4):
            clock.now += TIMEOUT / 4
            connection.check_deadline(clock.now)
    assert connection.state is (State.STALLED if streams else State.SENDING)
    assert not is_shut_down(ours)
    connection.close()


@pytest.mark.parametrize("streams", [False, True])
def test_a_peer_that_takes_no_more_is_cut(pair: Pair, clock: Clock, streams: bool) -> None:
    peer, ours = pair
    connection = begin_response(ours, peer, streams=streams)
    clock.now += TIMEOUT + 1
    read(peer, PIECE)
    connection.check_deadline(clock.now)
    clock.now += TIMEOUT
    connection.check_deadline(clock.now)
    assert not is_shut_down(ours)
    clock.now += 1
    connection.check_deadline(clock.now)
    assert is_shut_down(ours)
    connection.receive()
    assert connection.state is State.CLOSED


def test_the_time_of_one_response_is_not_that_of_the_next(pair: Pair, clock: Clock) -> None:
    peer, ours = pair
    connection = begin_response(ours, peer, streams=False)
    clock.now += TIMEOUT + 1
    read(peer, PIECE)
    connection.check_deadline(clock.now)  # gives it more time
    clock.now += TIMEOUT - 1
    connection.send()  # renews the deadline itself
    clock.now += TIMEOUT + 1
    connection.check_deadline(clock.now)
    assert is_shut_down(ours)
    connection.close()


def test_a_server_lets_a_slow_reader_read(talk: Talk) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(len(CONTENT)))])
        return [CONTENT]

    server = talk.serve(application, response_timeout=3, request_body_timeout=1)
    client = talk.keep(SlowReader(server.address))
    client.send(GET)
    client.read_until(b"\r\n\r\n")
    count = len(client.received)
    client.received = b""
    for _ in range(5):
        read(client.sock, PIECE)
        count += PIECE
        clock = talk.connect(server)  # its request takes too long: when it has ended, more than a second has passed
        clock.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx")
        assert clock.read_all().startswith(b"HTTP/1.1 408 ")
    assert count + len(client.read_all()) == len(CONTENT)
