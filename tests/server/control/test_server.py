"""A control listener in a poll loop: clients that come, go, stall and send too much."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from ropewalk.control import server as server_module
from ropewalk.control.server import ClientConnection, ControlListener, is_own_user


class Echo:
    """Sends back what it receives, and closes after a `.`."""

    def __init__(self, client: ClientConnection) -> None:
        self.client = client

    def receive(self, octets: bytes) -> None:
        if octets == b"fault":
            raise ZeroDivisionError
        self.client.send(octets * (10**6 if octets == b"much" else 1), is_last=octets.endswith(b"."))


@pytest.fixture
def listener() -> Iterator[ControlListener]:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    listener = ControlListener(sock, Echo)
    yield listener
    listener.close()


def turn(listener: ControlListener, seconds: float = 0.0) -> None:
    """One turn of the loop."""
    poll = select.poll()
    for descriptor, events in listener.pollable():
        poll.register(descriptor, events)
    listener.handle_events({descriptor for descriptor, _ in poll.poll(int(seconds * 1000))})


def connect(listener: ControlListener) -> socket.socket:
    client = socket.create_connection(listener.listener.getsockname(), timeout=20)
    turn(listener, 20)
    return client


def test_client_receives_responses_until_the_last(listener: ControlListener) -> None:
    with connect(listener) as client:
        client.sendall(b"hello")
        turn(listener, 20)
        assert client.recv(100) == b"hello"
        client.sendall(b"end.")
        turn(listener, 20)
        assert client.makefile("rb").read() == b"end."
    assert len(list(listener.pollable())) == 1


def test_response_that_a_client_does_not_take_at_once_is_queued(listener: ControlListener) -> None:
    with connect(listener) as client:
        client.sendall(b"much")
        turn(listener, 20)
        received = 0
        while received < 4 * 10**6:
            turn(listener)
            received += len(client.recv(65536))
        assert received == 4 * 10**6


def test_client_that_takes_nothing_is_disconnected(listener: ControlListener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_QUEUED_OCTETS", 1000)
    with connect(listener) as client:
        client.sendall(b"much")
        turn(listener, 20)
        turn(listener)
        assert len(list(listener.pollable())) == 1


def test_idle_client_is_disconnected(listener: ControlListener, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(listener) as client:
        assert listener.seconds_until_due(0.0) is not None
        monkeypatch.setattr(server_module, "IDLE_SECONDS", 0.0)
        turn(listener)
        assert client.recv(1) == b""
    assert listener.seconds_until_due(0.0) is None


def test_client_past_the_limit_replaces_the_one_that_was_idle_longest(
    listener: ControlListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 2)
    with connect(listener) as first, connect(listener) as second:
        first.sendall(b"first")
        turn(listener, 20)
        with connect(listener) as third:
            assert second.recv(1) == b""
            third.sendall(b"third")
            turn(listener, 20)
            assert (first.recv(100), third.recv(100)) == (b"first", b"third")


def test_internal_error_closes_one_connection(listener: ControlListener, capfd: pytest.CaptureFixture[str]) -> None:
    with connect(listener) as client:
        client.sendall(b"fault")
        turn(listener, 20)
        assert client.recv(1) == b""
    assert "ZeroDivisionError" in capfd.readouterr().err
    with connect(listener) as client:
        client.sendall(b"hello")
        turn(listener, 20)
        assert client.recv(100) == b"hello"


def test_own_user_is_recognised_by_the_kernel() -> None:
    first, second = socket.socketpair()
    with first, second:
        assert is_own_user(first)
