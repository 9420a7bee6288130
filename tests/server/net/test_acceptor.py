from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ropewalk.net.acceptor import LISTENING, PAUSE, Acceptor


class Hall:
    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.adopted: list[socket.socket] = []
        self.clients: list[socket.socket] = []
        self.has_connections = True
        self.paused: set[Acceptor] = set()
        self.acceptor = Acceptor(
            self.listener,
            self.epoll,
            lambda sock, peer, acceptor: self.adopted.append(sock),
            lambda: self.has_connections,
            self.paused,
        )
        self.epoll.register(self.listener.fileno(), LISTENING)

    def connect(self, count: int) -> None:
        self.clients += [socket.create_connection(self.listener.getsockname(), timeout=20) for _ in range(count)]

    def close(self) -> None:
        for sock in (*self.adopted, *self.clients, self.listener):
            sock.close()
        self.epoll.close()


@pytest.fixture
def hall() -> Iterator[Hall]:
    hall = Hall()
    yield hall
    hall.close()


def test_it_accepts_what_waits_without_blocking(hall: Hall) -> None:
    hall.connect(5)
    assert hall.epoll.poll(20)
    assert hall.acceptor.receive() is False
    assert len(hall.adopted) == 5
    assert not any(sock.getblocking() for sock in hall.adopted)


def test_draining_takes_the_backlog_and_then_refuses(hall: Hall) -> None:
    hall.connect(3)
    address = hall.listener.getsockname()
    hall.acceptor.drain()
    assert len(hall.adopted) == 3
    assert hall.epoll.poll(0) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=20)


def test_another_workers_socket_is_not_closed_with_this_ones(hall: Hall) -> None:
    with hall.listener.dup() as others:
        hall.acceptor.drain()
        hall.clients.append(socket.create_connection(others.getsockname(), timeout=20))
        hall.adopted.append(others.accept()[0])


def test_an_event_from_before_the_drain_accepts_nothing(hall: Hall) -> None:
    with hall.listener.dup() as others:
        hall.connect(1)
        assert hall.epoll.poll(20)
        hall.acceptor.drain()
        hall.clients.append(socket.create_connection(others.getsockname(), timeout=20))
        hall.acceptor.receive()  # by the thread that had polled; nobody would serve what it took
        hall.acceptor.check_deadline(time.monotonic())
        assert len(hall.adopted) == 1
        hall.adopted.append(others.accept()[0])


class Exhausted:
    """In the place of a listening socket, when there is no descriptor left."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.attempts = 0

    def fileno(self) -> int:
        return self._listener.fileno()

    def accept(self) -> Any:
        self.attempts += 1
        raise OSError(errno.EMFILE, "Too many open files")


def pause(hall: Hall) -> None:
    """Let a connection wait that cannot be accepted."""
    hall.connect(1)
    real, hall.acceptor.sock = hall.acceptor.sock, Exhausted(hall.listener)  # type: ignore[assignment]
    hall.acceptor.receive()
    hall.acceptor.sock = real


def test_without_descriptors_it_pauses_and_says_so(hall: Hall, capfd: pytest.CaptureFixture[str]) -> None:
    pause(hall)
    assert hall.epoll.poll(0) == []  # otherwise it would be told again and again
    assert hall.paused == {hall.acceptor}
    assert "cannot accept: Too many open files" in capfd.readouterr().err


def test_a_pause_is_over_after_a_while(hall: Hall) -> None:
    pause(hall)
    hall.acceptor.check_deadline(time.monotonic())
    assert hall.epoll.poll(0) == []
    hall.acceptor.check_deadline(time.monotonic() + PAUSE)
    assert hall.epoll.poll(20)
    hall.acceptor.receive()
    assert len(hall.adopted) == 1


def test_a_pause_is_over_when_a_connection_ends(hall: Hall) -> None:
    pause(hall)
    hall.acceptor.resume()
    assert hall.paused == set()
    assert hall.epoll.poll(20)
    hall.acceptor.resume()  # as another thread may
    hall.acceptor.receive()
    assert len(hall.adopted) == 1


def test_without_connections_whose_end_could_be_awaited_it_goes_on_by_itself(hall: Hall) -> None:
    hall.has_connections = False
    hall.connect(1)
    hall.acceptor.sock = Exhausted(hall.listener)  # type: ignore[assignment]
    hall.acceptor.receive()
    assert hall.paused == set()
    assert hall.epoll.poll(20)


def test_a_pause_that_is_told_again_and_again_is_logged_once(hall: Hall, capfd: pytest.CaptureFixture[str]) -> None:
    pause(hall)
    exhausted = Exhausted(hall.listener)
    hall.acceptor.sock = exhausted  # type: ignore[assignment]
    for _ in range(3):
        hall.acceptor.resume()
        hall.acceptor.receive()
    assert exhausted.attempts == 3
    assert capfd.readouterr().err.count("cannot accept") == 1


def test_one_that_is_closed_does_not_resume(hall: Hall) -> None:
    pause(hall)
    hall.acceptor.close()
    hall.acceptor.resume()
    hall.acceptor.check_deadline(time.monotonic() + PAUSE)
    assert hall.epoll.poll(0) == []
