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
        self.acceptor = Acceptor(self.listener, self.epoll, lambda sock, peer, acceptor: self.adopted.append(sock))
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


def test_draining_takes_the_backlog_and_watches_no_more(hall: Hall) -> None:
    hall.connect(3)
    hall.acceptor.drain()
    assert len(hall.adopted) == 3
    hall.connect(1)
    assert hall.epoll.poll(0) == []


def test_without_descriptors_it_pauses_and_resumes(hall: Hall, capfd: pytest.CaptureFixture[str]) -> None:
    class Exhausted:
        def fileno(self) -> int:
            return hall.listener.fileno()

        def accept(self) -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

    hall.connect(1)
    real, hall.acceptor.sock = hall.acceptor.sock, Exhausted()  # type: ignore[assignment]
    hall.acceptor.receive()
    assert hall.epoll.poll(0) == []  # otherwise it would be told again and again
    assert "cannot accept: Too many open files" in capfd.readouterr().err
    hall.acceptor.sock = real
    hall.acceptor.check_deadline(time.monotonic())
    assert hall.epoll.poll(0) == []
    hall.acceptor.check_deadline(time.monotonic() + PAUSE)
    assert hall.epoll.poll(20)
    hall.acceptor.receive()
    assert len(hall.adopted) == 1
