"""Where a connection goes behind an answer: to the epoll, or to the end of the queue when others stand in it."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from ropewalk.http.chunked import ChunkLimits
from ropewalk.http.head import HeadLimits
from ropewalk.net.connection import ARMED_AT_LEAST, Connection
from ropewalk.net.connection_config import ConnectionConfig, ConnectionEvents
from ropewalk.net.connection_states import State

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Hall:
    """A connection, its peer, and what stands in for pool and epoll: `queue` and `armed`."""

    def __init__(self) -> None:
        self.queue: deque[object] = deque()
        self.armed: list[int] = []
        self.peer, sock = socket.socketpair()
        self.peer.settimeout(20)
        sock.setblocking(False)
        config = ConnectionConfig(
            head_limits=HeadLimits(),
            chunk_limits=ChunkLimits(content=0),
            body_memory=1024,
            idle_timeout=60,
            head_timeout=60,
            body_timeout=60,
            send_timeout=60,
        )
        events: ConnectionEvents[Any] = ConnectionEvents(
            register=lambda fd, events: self.armed.append(fd),
            arm=lambda fd, events: self.armed.append(fd),
            queue=self.queue.append,
            ready=self.queue,
            call_soon=lambda call: None,
            on_closed=lambda connection, is_cut: None,
            on_refused=lambda connection, status_code: "",
        )
        self.connection = Connection(sock, None, config, events, None)

    def exchange(self) -> None:
        """One request, which is there when its turn comes, and its answer."""
        self.peer.sendall(REQUEST)
        assert self.connection.receive()
        self.connection.set_response(ANSWER)
        self.connection.send()
        assert self.peer.recv(1024) == ANSWER


@pytest.fixture
def hall() -> Iterator[Hall]:
    hall = Hall()
    yield hall
    hall.connection.close()
    hall.peer.close()


def test_with_nobody_queued_it_is_armed_behind_each_answer(hall: Hall) -> None:
    for number in range(3):
        hall.exchange()
        assert len(hall.armed) == number + 1
    assert not hall.queue


def test_with_others_queued_it_goes_behind_them_and_is_not_armed(hall: Hall) -> None:
    hall.queue.append("another")
    for number in range(20):
        hall.exchange()
        assert list(hall.queue) == ["another"] + [hall.connection] * (number + 1)
    assert not hall.armed


def test_one_that_was_queued_in_vain_is_armed_and_for_some_answers_more(hall: Hall) -> None:
    hall.queue.append("another")
    hall.exchange()
    queued = len(hall.queue)
    assert not hall.connection.receive()  # its turn, and nothing is there
    assert len(hall.armed) == 1
    assert hall.connection.state is State.IDLE
    for _ in range(ARMED_AT_LEAST):
        hall.exchange()
    assert len(hall.armed) == 1 + ARMED_AT_LEAST
    assert len(hall.queue) == queued
    hall.exchange()
    assert len(hall.queue) == queued + 1
    assert len(hall.armed) == 1 + ARMED_AT_LEAST


def test_one_whose_peer_has_left_is_closed_when_its_turn_comes(hall: Hall) -> None:
    hall.queue.append("another")
    hall.exchange()
    hall.peer.close()
    assert not hall.connection.receive()
    assert hall.connection.state is State.CLOSED
    assert not hall.armed
