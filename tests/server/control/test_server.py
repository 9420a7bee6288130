"""A desk in a poll loop: conversations that come, go, stall and say too much."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from ropewalk.control import server as desk_module
from ropewalk.control.server import ClientConnection, ControlListener, is_own_user


class Echo:
    """A visitor who gets back what it says; a `.` is the last."""

    def __init__(self, conversation: ClientConnection) -> None:
        self.conversation = conversation

    def receive(self, octets: bytes) -> None:
        if octets == b"fault":
            raise ZeroDivisionError
        self.conversation.send(octets * (10**6 if octets == b"much" else 1), is_last=octets.endswith(b"."))


@pytest.fixture
def desk() -> Iterator[ControlListener]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    desk = ControlListener(listener, Echo)
    yield desk
    desk.abandon()


def turn(desk: ControlListener, seconds: float = 0.0) -> None:
    """One turn of the loop."""
    poll = select.poll()
    for descriptor, events in desk.pollable():
        poll.register(descriptor, events)
    desk.attend({descriptor for descriptor, _ in poll.poll(int(seconds * 1000))})


def come(desk: ControlListener) -> socket.socket:
    peer = socket.create_connection(desk.listener.getsockname(), timeout=20)
    turn(desk, 20)
    return peer


def test_a_visitor_is_answered(desk: ControlListener) -> None:
    with come(desk) as peer:
        peer.sendall(b"hello")
        turn(desk, 20)
        assert peer.recv(100) == b"hello"
        peer.sendall(b"end.")
        turn(desk, 20)
        assert peer.makefile("rb").read() == b"end."
    assert len(list(desk.pollable())) == 1


def test_what_a_peer_does_not_take_waits_for_it(desk: ControlListener) -> None:
    with come(desk) as peer:
        peer.sendall(b"much")
        turn(desk, 20)
        received = 0
        while received < 4 * 10**6:
            turn(desk)
            received += len(peer.recv(65536))
        assert received == 4 * 10**6


def test_a_peer_that_takes_nothing_of_too_much_is_cut(desk: ControlListener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "MAX_QUEUED_OCTETS", 1000)
    with come(desk) as peer:
        peer.sendall(b"much")
        turn(desk, 20)
        turn(desk)
        assert len(list(desk.pollable())) == 1


def test_a_silent_peer_is_cut(desk: ControlListener, monkeypatch: pytest.MonkeyPatch) -> None:
    with come(desk) as peer:
        assert desk.seconds_to_act(0.0) is not None
        monkeypatch.setattr(desk_module, "SILENCE_SECONDS", 0.0)
        turn(desk)
        assert peer.recv(1) == b""
    assert desk.seconds_to_act(0.0) is None


def test_one_client_too_many_takes_the_place_of_the_longest_idle_one(
    desk: ControlListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "MAX_CONVERSATIONS", 2)
    with come(desk) as first, come(desk) as second:
        first.sendall(b"I am here")
        turn(desk, 20)
        with come(desk) as third:
            assert second.recv(1) == b""
            third.sendall(b"and I")
            turn(desk, 20)
            assert (first.recv(100), third.recv(100)) == (b"I am here", b"and I")


def test_a_fault_of_ours_ends_one_conversation(desk: ControlListener, capfd: pytest.CaptureFixture[str]) -> None:
    with come(desk) as peer:
        peer.sendall(b"fault")
        turn(desk, 20)
        assert peer.recv(1) == b""
    assert "ZeroDivisionError" in capfd.readouterr().err
    with come(desk) as peer:
        peer.sendall(b"hello")
        turn(desk, 20)
        assert peer.recv(100) == b"hello"


def test_owner_of_the_other_end_comes_from_the_kernel() -> None:
    first, second = socket.socketpair()
    with first, second:
        assert is_own_user(first)
