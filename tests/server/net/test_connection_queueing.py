"""Where a connection goes after a response: to the epoll, or to the end of the queue when others are in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ropewalk.net.connection import ARMED_AT_LEAST
from ropewalk.net.connection_states import State
from tests.helpers.connections import Surroundings, socket_pair

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
RESPONSE = b"HTTP/1.1 204 No Content\r\n\r\n"


class Served(Surroundings):
    """One connection and its peer."""

    def __init__(self) -> None:
        super().__init__()
        self.peer, sock = socket_pair()
        self.served = self.connection(sock)

    def exchange(self) -> None:
        """One request, which is there when its turn comes, and its response."""
        self.peer.sendall(REQUEST)
        assert self.served.receive()
        self.served.set_response(RESPONSE)
        self.served.send()
        assert self.peer.recv(1024) == RESPONSE


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.served.close()
    served.peer.close()


def test_with_an_empty_queue_it_is_armed_after_each_response(served: Served) -> None:
    for number in range(3):
        served.exchange()
        assert len(served.armed) == number + 1
    assert not served.queue


def test_with_others_queued_it_joins_them_and_is_not_armed(served: Served) -> None:
    served.queue.append("another")
    for number in range(20):
        served.exchange()
        assert list(served.queue) == ["another"] + [served.served] * (number + 1)
    assert not served.armed


def test_one_that_was_queued_in_vain_is_armed_then_and_after_some_more_responses(served: Served) -> None:
    served.queue.append("another")
    served.exchange()
    queued = len(served.queue)
    assert not served.served.receive()  # its turn, and nothing is there
    assert len(served.armed) == 1
    assert served.served.state is State.IDLE
    for _ in range(ARMED_AT_LEAST):
        served.exchange()
    assert len(served.armed) == 1 + ARMED_AT_LEAST
    assert len(served.queue) == queued
    served.exchange()
    assert len(served.queue) == queued + 1
    assert len(served.armed) == 1 + ARMED_AT_LEAST


def test_queued_connection_whose_peer_has_left_is_closed(served: Served) -> None:
    served.queue.append("another")
    served.exchange()
    served.peer.close()
    assert not served.served.receive()
    assert served.served.state is State.CLOSED
    assert not served.armed
