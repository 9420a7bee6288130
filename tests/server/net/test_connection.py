"""Connections as a peer sees them: real sockets, real servers."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.net.connection import MAX_JOINED, MAX_RECEIVES, RECEIVE_OCTETS
from ropewalk.net.connection_states import MOVES, RECEIVING, State
from ropewalk.net.write_buffer import WriteBuffer
from tests.helpers.connections import ScriptedSocket, Surroundings
from tests.helpers.embedded import Talk
from tests.helpers.http_client import GET

WaitFor = Callable[[Callable[[], object], str], None]
KEEP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Path", environ["PATH_INFO"])])
    return [body]


class TestStates:
    def test_every_state_has_its_moves(self) -> None:
        assert set(MOVES) == set(State)

    def test_every_state_can_be_closed_and_none_left_then(self) -> None:
        assert all(State.CLOSED in moves for state, moves in MOVES.items() if state is not State.CLOSED)
        assert not MOVES[State.CLOSED]

    def test_only_receiving_states_become_a_request(self) -> None:
        assert {state for state, moves in MOVES.items() if State.RUNNING in moves} == RECEIVING

    def test_a_request_may_end_in_idle(self) -> None:
        assert State.IDLE in MOVES[State.RUNNING]


def send_response(sock: ScriptedSocket, interim: bytes, head: bytes, content: bytes, is_buffered: bool) -> list[Any]:
    """Send a response over as many events as it takes; everything that a peer and the service see of it."""
    surroundings = Surroundings()
    connection = surroundings.connection(sock)
    assert connection.receive()
    sent: list[bool] = []
    connection.on_sent = lambda connection, is_whole: sent.append(is_whole)
    connection.exchange = object()
    if interim:
        connection.send_interim(interim)
    connection.set_response(head, content)
    if is_buffered:
        buffer = connection._write_buffer = WriteBuffer(surroundings.response_budget)
        buffer.append(connection._response + connection._content)
    connection.send()
    while connection.state is State.SENDING:
        connection.receive()
    state = connection.state
    connection.close()
    counted = connection.sent_octets if sent == [True] else None  # those of a call that failed are not counted
    return [sock.taken, state, counted, sent, surroundings.closed]


@given(
    takes=st.lists(st.one_of(st.none(), st.integers(1, 60), st.integers(1, 2 * MAX_JOINED)), max_size=8),
    ending=st.sampled_from([None, BrokenPipeError, ConnectionResetError]),
    interim=st.binary(max_size=10),
    head=st.binary(min_size=1, max_size=50),
    length=st.one_of(st.integers(0, 50), st.integers(MAX_JOINED - 1, MAX_JOINED + 1), st.just(3 * MAX_JOINED)),
    request_head=st.sampled_from([KEEP, GET]),
)
def test_a_response_is_sent_as_from_a_write_buffer(
    takes: list[int | None], ending: type[OSError] | None, interim: bytes, head: bytes, length: int, request_head: bytes
) -> None:
    content = bytes(number % 251 for number in range(length))
    direct, buffered = (
        send_response(ScriptedSocket(request_head, list(takes), ending), interim, head, content, is_buffered)
        for is_buffered in (False, True)
    )
    assert direct == buffered
    if direct[3] == [True]:
        assert direct[0] == interim + head + content


class ArrivingSocket(ScriptedSocket):
    """Gives, call by call, what arrives: octets, None for nothing yet, b"" for the end."""

    def __init__(self, arrives: list[bytes | None]) -> None:
        super().__init__(b"", [])
        self.arrives = arrives

    def recv(self, count: int) -> bytes:
        data = self.arrives.pop(0) if self.arrives else None
        if data is None:
            raise BlockingIOError
        return data


@given(
    full=st.integers(0, 2 * MAX_RECEIVES + 1),
    rest=st.sampled_from([0, 1, RECEIVE_OCTETS - 1]),
    pauses=st.sets(st.integers(1, 2 * MAX_RECEIVES + 2)),
    is_followed=st.booleans(),
    is_ended=st.booleans(),
)
def test_content_is_received_in_as_few_events_as_may_be(
    full: int, rest: int, pauses: set[int], is_followed: bool, is_ended: bool
) -> None:
    octets = (full + 1) * RECEIVE_OCTETS + rest
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    head = head % (octets - len(head % octets))
    sent = head + bytes(octets - len(head)) + (KEEP if is_followed else b"")
    if is_ended:
        sent = sent[:-1] if is_followed else sent[: -1 - octets % 7]
    arrives: list[bytes | None] = []
    for number, start in enumerate(range(0, len(sent), RECEIVE_OCTETS)):
        arrives += [None] * (number in pauses) + [sent[start : start + RECEIVE_OCTETS]]
    arrives += [b""] * 3 if is_ended else []
    surroundings = Surroundings()
    sock = ArrivingSocket(list(arrives))
    connection = surroundings.connection(sock)
    events = 1
    while not connection.receive() and not surroundings.closed:
        events += 1
    if is_ended and not is_followed:
        assert surroundings.closed == [False]
        return
    assert connection.body_octets == octets - len(head)
    later = b"".join(data or b"" for data in sock.arrives)
    assert connection.request_reader.buffer + later == sent[octets:]
    assert connection.received_octets == len(sent) - len(later)
    assert connection.request_reader.body is not None
    assert events <= len(arrives) // MAX_RECEIVES + 2 * len(pauses) + 2
    connection.close()


class TestKeepAlive:
    def test_many_requests_on_one_connection(self, talk: Talk) -> None:
        client = talk.connect(talk.serve(echo))
        for number in range(50):
            client.send(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n%03d" % (number, number))
            head, content = client.read_response()
            assert content == b"%03d" % number
            assert b"X-Path: /%d\r\n" % number in head

    def test_pipelined_requests_are_answered_in_order(self, talk: Talk) -> None:
        client = talk.connect(talk.serve(echo))
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(500)))
        for number in range(500):
            assert b"X-Path: /%d\r\n" % number in client.read_response()[0]

    def test_a_request_after_a_body_is_the_next(self, talk: Talk) -> None:
        client = talk.connect(talk.serve(echo))
        client.send(
            b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi" + b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        assert client.read_response()[1] == b"hi"
        assert b"X-Path: /b" in client.read_response()[0]

    @pytest.mark.parametrize(
        "request_head",
        [
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: x, Close\r\n\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
        ],
    )
    def test_connection_ends_with_connection_close(self, talk: Talk, request_head: bytes) -> None:
        client = talk.connect(talk.serve(echo))
        client.send(request_head + KEEP)
        assert client.read_all().count(b"HTTP/1.1 200") == 1

    def test_an_idle_connection_is_closed_in_time(self, talk: Talk) -> None:
        client = talk.connect(talk.serve(echo, keep_alive=1))
        client.send(KEEP)
        client.read_response()
        assert client.read_all() == b""


class TestRefusal:
    def test_the_response_is_read_though_more_was_sent(self, talk: Talk) -> None:
        client = talk.connect(talk.serve(echo))
        with contextlib.suppress(ConnectionError):
            client.send(b"BAD\r\n\r\n" + b"x" * 500_000)
        response = client.read_all()
        assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert not response.endswith(b"RESET")

    def test_octets_after_a_refused_request_are_no_request(self, talk: Talk) -> None:
        client = talk.connect(talk.serve(echo))
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + KEEP)
        response = client.read_all()
        assert response.count(b"HTTP/1.1") == 1
        assert b"\r\nDate: " in response
        assert b"\r\nConnection: close\r\n" in response

    def test_a_head_that_takes_too_long_is_408(self, talk: Talk) -> None:
        client = talk.connect(talk.serve(echo, request_head_timeout=1))
        client.send(b"GET / HT")
        assert client.read_all().startswith(b"HTTP/1.1 408 ")

    def test_a_body_that_stops_is_408(self, talk: Talk) -> None:
        client = talk.connect(talk.serve(echo, request_body_timeout=1))
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        assert client.read_all().startswith(b"HTTP/1.1 408 ")

    def test_half_a_request_never_reaches_the_application(self, talk: Talk) -> None:
        seen: list[str] = []

        def application(environ: Any, start_response: Any) -> list[bytes]:
            seen.append(environ["PATH_INFO"])
            return echo(environ, start_response)

        server = talk.serve(application)
        for half in (
            b"GET /a HTTP/1.1\r\nHost: x\r\n",
            b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab",
            b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        ):
            client = talk.connect(server)
            client.send(half)
            client.sock.shutdown(socket.SHUT_WR)
            assert client.read_all() == b""
        client = talk.connect(server)
        client.send(GET)
        client.read_all()
        assert seen == ["/"]


class TestExpect:
    HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"

    def test_100_comes_before_the_content(self, talk: Talk) -> None:
        client = talk.connect(talk.serve(echo))
        client.send(self.HEAD % 2)
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hi")
        response = client.read_all()
        assert response.startswith(b"HTTP/1.1 200")
        assert response.endswith(b"hi")

    def test_no_100_when_the_content_is_there(self, talk: Talk) -> None:
        assert b"100 Continue" not in talk.ask(echo, self.HEAD % 2 + b"hi")

    def test_too_much_is_refused_before_it_is_sent(self, talk: Talk) -> None:
        response = talk.ask(echo, self.HEAD % 2000, limit_request_body=1000)
        assert response.startswith(b"HTTP/1.1 413 ")
        assert b"100 Continue" not in response


class TestLimits:
    @pytest.mark.parametrize(("size", "status"), [(1000, b"200"), (1001, b"413")])
    def test_content(self, talk: Talk, size: int, status: bytes) -> None:
        length = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
        chunked = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size
        server = talk.serve(echo, limit_request_body=1000)
        for octets in (length + b"x" * size, chunked + b"x" * size + b"\r\n0\r\n\r\n"):
            client = talk.connect(server)
            client.send(octets)
            assert client.read_all().startswith(b"HTTP/1.1 " + status)

    def test_connections_past_the_limit_get_503(self, talk: Talk) -> None:
        server = talk.serve(echo, limit_connections=2)
        held = [talk.connect(server) for _ in range(2)]
        for client in held:
            client.send(KEEP)
            client.read_response()
        extra = talk.connect(server)
        response = extra.read_all()
        assert response.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: " in response
        held[0].send(KEEP)
        assert held[0].read_response()[0].startswith(b"HTTP/1.1 200")


class TestSlowPeers:
    def test_a_response_that_the_socket_does_not_take_holds_no_thread(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])
            return [b"x" * (20_000_000 if environ["PATH_INFO"] == "/big" else 2)]

        server = talk.serve(application, threads=1)
        slow = [talk.connect(server) for _ in range(5)]
        for client in slow:
            client.send(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            client.read_until(b"\r\n\r\n")
        quick = talk.connect(server)
        quick.send(GET)
        assert quick.read_all().endswith(b"xx")
        for client in slow:
            assert len(client.read_all()) == 20_000_000

    def test_a_stream_to_a_slow_reader_is_queued(self, talk: Talk) -> None:
        is_made = threading.Event()
        part = os.urandom(65536)

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [("Content-Length", str(65536 * 200))])
            for _ in range(200):
                yield part
            is_made.set()

        client = talk.connect(talk.serve(application, threads=1))
        client.send(GET)
        assert is_made.wait(20)  # 13 MB made while the peer reads nothing
        client.read_until(b"\r\n\r\n")
        assert client.read_all() == part * 200

    def test_a_stream_waits_for_the_peer_past_the_high_water(self, talk: Talk, monkeypatch: Any) -> None:
        monkeypatch.setattr("ropewalk.net.streamed_response.HIGH_WATER", 1_000_000)
        made = []

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [])
            for number in range(400):
                made.append(number)
                yield b"x" * 65536

        client = talk.connect(talk.serve(application, threads=1))
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(GET)
        client.read_until(b"\r\n\r\n")
        assert client.read_all().count(b"x") == 400 * 65536
        assert len(made) == 400

    @pytest.mark.parametrize("streams", [True, False])
    def test_a_peer_that_takes_nothing_is_cut(self, talk: Talk, wait_for: WaitFor, streams: bool) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [])
            parts = [b"x" * 1_000_000] * 30
            return iter(parts) if streams else parts

        server = talk.serve(application, response_timeout=1)
        client = talk.connect(server)
        client.send(GET)
        client.read_until(b"\r\n\r\n")
        wait_for(lambda: server.stats().connections == 0, "the end of the connection")
        assert len(client.read_all()) < 30_000_000

    def test_many_slow_heads_leave_the_others_alone(self, talk: Talk) -> None:
        server = talk.serve(echo, threads=2)
        slow = [talk.connect(server) for _ in range(100)]
        for octet in b"GET /slow":
            for client in slow:
                client.send(bytes([octet]))
        quick = talk.connect(server)
        quick.send(GET)
        assert quick.read_all().startswith(b"HTTP/1.1 200")
        for client in slow:
            client.send(b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b"X-Path: /slow" in client.read_all()


class TestStorage:
    def test_a_large_body_goes_to_a_file_and_comes_back_whole(self, talk: Talk) -> None:
        body = os.urandom(3_000_000)
        client = talk.connect(talk.serve(echo, body_memory="64k"))
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        client.send(body)
        assert client.read_response()[1] == body

    def test_a_full_disk_is_503_and_the_server_lives(self, talk: Talk, monkeypatch: Any) -> None:
        server = talk.serve(echo, body_memory="1k")
        client, good = talk.connect(server), talk.connect(server)
        # /dev/full is the one file that is always full
        monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: open("/dev/full", "r+b", 0))
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000)
        assert client.read_all().startswith(b"HTTP/1.1 503 ")
        good.send(GET)
        assert good.read_all().startswith(b"HTTP/1.1 200")


def test_a_unix_socket_serves(talk: Talk, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    seen: list[dict[str, Any]] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ)
        return echo(environ, start_response)

    client = talk.connect(talk.serve(application, bind=f"unix:{path}"))
    client.send(GET)
    assert client.read_all().startswith(b"HTTP/1.1 200")
    assert seen[0]["REMOTE_ADDR"] == ""
    assert seen[0]["SERVER_NAME"]
