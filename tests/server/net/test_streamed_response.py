"""A response that is sent while it is produced: no block waits for what the application does next."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ropewalk
from ropewalk.errors import ApplicationError, PeerGoneError
from ropewalk.http.response import BY_CHUNKS, BY_CLOSE, BY_LENGTH, UNFRAMED
from ropewalk.net.connection import Connection
from ropewalk.net.connection_states import State
from ropewalk.net.response_budget import ResponseBudget
from ropewalk.net.streamed_response import GATHER_TIME, MAX_GATHERED
from tests.helpers.connections import ScriptedSocket, Surroundings
from tests.helpers.embedded import Talk
from tests.helpers.http_client import GET, PATIENCE

KEEP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
TEXT = [("Content-Type", "text/plain")]


def wait(event: threading.Event) -> None:
    assert event.wait(PATIENCE)


def compute(event: threading.Event) -> None:
    """Keep the interpreter until the event: the thread that sends has to take it."""
    while not event.is_set():
        sum(range(1000))


@given(
    takes=st.lists(st.none() | st.integers(1, 100) | st.integers(1, 2 * MAX_GATHERED), max_size=10),
    steps=st.lists(
        st.binary(min_size=1, max_size=50)
        | st.integers(1, 2 * MAX_GATHERED).map(bytes)
        | st.sampled_from(["another thread", "an event", "a pause"]),
        max_size=20,
    ),
)
def test_blocks_are_sent_in_order_by_either_thread(takes: list[int | None], steps: list[bytes | str]) -> None:
    now = 1000.0
    sock = ScriptedSocket(KEEP, takes)
    surroundings = Surroundings()
    connection = surroundings.connection(sock)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("connection", "streamed_response"):
            patch.setattr(f"ropewalk.net.{module}.monotonic", lambda: now)
        assert connection.receive()
        response = connection.stream_response(BY_CLOSE, None)
        for step in steps:
            if isinstance(step, bytes):
                response.write(step)
            elif step == "another thread" and surroundings.soon:
                surroundings.soon.pop()()
            elif step == "an event" and connection.state is State.STALLED:
                connection.receive()
            elif step == "a pause":
                now += 2 * GATHER_TIME
        if response.end():
            connection.send()
        for callback in surroundings.soon:  # which comes too late
            callback()
        while connection.state is State.SENDING:
            connection.receive()
    assert sock.taken == b"".join(step for step in steps if isinstance(step, bytes))
    assert connection.sent_octets == len(sock.taken)
    assert connection.state is State.IDLE
    connection.close()


@pytest.mark.parametrize("pause", [wait, compute])
@pytest.mark.parametrize("threads", [1, 4])
def test_blocks_that_follow_at_once_do_not_wait_for_the_next(
    talk: Talk, pause: Callable[[threading.Event], None], threads: int
) -> None:
    has_read = threading.Event()

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        for number in range(10):
            yield b"block %d." % number
        pause(has_read)
        yield b"last."

    client = talk.connect(talk.serve(application, threads=threads))
    client.send(GET)
    head = client.read_until(b"block 9.\r\n")
    assert head.count(b"block") == 10
    has_read.set()
    assert client.read_all() == b"5\r\nlast.\r\n0\r\n\r\n"


def test_write_does_not_wait_either(talk: Talk) -> None:
    has_read = threading.Event()

    def application(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", TEXT)
        write(b"first.")
        write(b"second.")
        wait(has_read)
        return [b"third."]

    client = talk.connect(talk.serve(application))
    client.send(GET)
    client.read_until(b"second.\r\n")
    has_read.set()
    assert client.read_all() == b"6\r\nthird.\r\n0\r\n\r\n"


class OwnSocket(socket.socket):
    """In place of the socket of the only connection of `server`: counts what is sent, and is not shut down."""

    def __init__(self, server: ropewalk.Server) -> None:
        (connection,) = (item for item in server._service._pool.items.values() if isinstance(item, Connection))
        super().__init__(fileno=connection.sock.detach())
        self.setblocking(False)
        self.sends = 0
        connection.sock = self

    def send(self, *arguments: Any) -> int:
        self.sends += 1
        return super().send(*arguments)

    def sendmsg(self, *arguments: Any) -> int:
        self.sends += 1
        return super().sendmsg(*arguments)

    def shutdown(self, how: int) -> None: ...


def test_blocks_that_follow_at_once_are_sent_together(talk: Talk) -> None:
    socks: list[OwnSocket] = []

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        socks.append(OwnSocket(server))
        start_response("200 OK", TEXT)
        for _ in range(1000):
            yield b"x" * 64

    server = talk.serve(application)
    client = talk.connect(server)
    client.send(GET)
    assert client.read_all().count(b"x" * 64) == 1000
    assert 0 < socks[0].sends < 500  # the first, one each 32 KiB, one each look of the other thread, the end


def test_a_response_that_outlives_its_server_is_closed(talk: Talk, wait_for: Callable[..., None]) -> None:
    """Nobody polls any more when the application is done with it; an open socket would be found by the leak check."""
    is_stalled, is_stopped = threading.Event(), threading.Event()

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        for _ in range(200):
            yield b"x" * 65536
        is_stalled.set()
        wait(is_stopped)

    server = talk.serve(application)
    client = talk.connect(server)
    client.send(GET)
    wait(is_stalled)
    OwnSocket(server)  # or another thread may see that it is cut, and close it
    server.stop(0)
    assert server.stats().connections == 1
    is_stopped.set()
    wait_for(lambda: server.stats().connections == 0, "the end of the connection")
    assert client.read_all().startswith(b"HTTP/1.1 200 OK")


def test_a_thread_that_waits_for_room_is_released_by_the_end(monkeypatch: pytest.MonkeyPatch, wait_for: Any) -> None:
    monkeypatch.setattr("ropewalk.net.streamed_response.HIGH_WATER", 0)
    settled: list[int] = []

    def hold(budget: ResponseBudget, buffer: object, octets: int, *, is_forced: bool = False) -> bool:
        settled.append(octets)
        return True

    monkeypatch.setattr(ResponseBudget, "hold", hold)
    surroundings = Surroundings()
    connection = surroundings.connection(ScriptedSocket(KEEP, [None, None]))
    assert connection.receive()
    response = connection.stream_response(BY_CLOSE, None)
    writer = threading.Thread(target=response.write, args=(b"more than the peer takes",))
    writer.start()
    wait_for(lambda: connection.state is State.STALLED, "the writer")
    response.end()
    writer.join(PATIENCE)
    assert not writer.is_alive()
    assert not settled  # the buffer is the sender's by then
    connection.close()


def test_framing_is_that_of_the_stream_whoever_writes() -> None:
    for framing, length, expected in (
        (BY_CHUNKS, None, b"head1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"),
        (BY_LENGTH, 2, b"headab"),
        (BY_CLOSE, None, b"headabc"),
        (UNFRAMED, None, b"head"),
    ):
        connection_socket = ScriptedSocket(KEEP, [])
        connection = Surroundings().connection(connection_socket)
        assert connection.receive()
        response = connection.stream_response(framing, length, b"head")
        excess = [response.write(content) for content in (b"a", b"bc", b"")]
        assert excess == ([0, 1, 0] if framing is BY_LENGTH else [0, 0, 0])
        assert response.end()
        with pytest.raises(ApplicationError, match="after the end"):
            response.write(b"d")
        connection.send()
        assert connection_socket.taken == expected
        connection.close()


def test_a_connection_that_cannot_wait_for_its_peer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In no epoll and with no holder it would stay open forever."""
    surroundings = Surroundings()
    connection = surroundings.connection(ScriptedSocket(KEEP, [None]))
    assert connection.receive()
    response = connection.stream_response(BY_CLOSE, None)

    def refuse(fd: int, events: int) -> None:
        raise OSError(errno.ENOSPC, "max_user_watches")

    monkeypatch.setattr(connection, "_arm", refuse)
    with pytest.raises(PeerGoneError):
        response.write(b"more than the peer takes")
    assert connection.state is State.CLOSED
