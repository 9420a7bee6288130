"""Closing idle connections early: which one, when, and which never."""

from __future__ import annotations

import os
import resource
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from ropewalk.net import idle_closer
from ropewalk.net.connection import Connection
from ropewalk.net.connection_states import State
from ropewalk.net.idle_closer import CANDIDATES, CONNECTIONS, DESCRIPTORS, MIN_IDLE_SECONDS, IdleCloser, scarce_from
from tests.helpers.connections import TIMEOUT, Surroundings, socket_pair
from tests.helpers.embedded import Talk, WorkerService, answering
from tests.helpers.http_client import PATIENCE, Client

WaitFor = Callable[[Callable[[], object], str], None]

KEEP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Idle:
    """Connections that are idle since the moments that a test says, in seconds of a clock that does not move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("ropewalk.net.idle_closer.monotonic", lambda: self.now)
        self.connections: list[Connection[Any, Any]] = []
        self.peers: list[socket.socket] = []
        self.counts: Counter[str] = Counter()
        self.scans = 0
        self.closer = IdleCloser(self._scanned, TIMEOUT, lambda reason: self.counts.update([reason]))

    def _scanned(self) -> Iterator[Connection[Any, Any]]:
        self.scans += 1
        return iter(self.connections)

    def add(self, seconds: float, requests: int = 1) -> Connection[Any, Any]:
        """A connection that has been idle for that long, after so many requests."""
        peer, ours = socket_pair()
        connection = Surroundings().connection(ours)
        connection.requests = requests
        connection.deadline = self.now - seconds + TIMEOUT
        self.connections.append(connection)
        self.peers.append(peer)
        return connection

    def close(self) -> None:
        for connection in self.connections:
            connection.close()
            connection.sock.close()  # a test may have said that it is closed
        for peer in self.peers:
            peer.close()


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> Iterator[Idle]:
    made = Idle(monkeypatch)
    yield made
    made.close()


def is_ended(connection: Connection[Any, Any]) -> bool:
    """Whether its holder now finds the end of its input, and closes it."""
    connection.receive()
    return connection.state is State.CLOSED


def test_the_one_that_is_idle_longest_is_closed_first(idle: Idle) -> None:
    young, old, middle = idle.add(1), idle.add(30), idle.add(2)
    for expected in (old, middle, young):
        assert idle.closer.make_room(CONNECTIONS)
        assert expected in idle.closer.closing
        assert is_ended(expected)
        idle.closer.closing.discard(expected)
    assert not idle.closer.make_room(CONNECTIONS)
    assert idle.counts == {CONNECTIONS: 3}


@pytest.mark.parametrize(("more", "may_be_closed"), [(0.0, True), (-0.01, False)])
def test_one_that_was_used_just_now_is_kept(idle: Idle, more: float, may_be_closed: bool) -> None:
    idle.add(MIN_IDLE_SECONDS + more)
    assert idle.closer.make_room(DESCRIPTORS) is may_be_closed


def test_one_without_a_request_so_far_is_kept(idle: Idle) -> None:
    idle.add(5, requests=0)
    assert not idle.closer.make_room(DESCRIPTORS)


@pytest.mark.parametrize("state", [state for state in State if state is not State.IDLE])
def test_one_that_is_not_idle_is_kept(idle: Idle, state: State) -> None:
    idle.add(5).state = state
    assert not idle.closer.make_room(DESCRIPTORS)


def test_one_whose_request_has_arrived_is_kept(idle: Idle) -> None:
    idle.add(5)
    idle.peers[0].sendall(KEEP)
    assert not idle.closer.make_room(DESCRIPTORS)


def test_one_that_was_used_since_it_was_found_is_kept(idle: Idle) -> None:
    _, used, _ = idle.add(30), idle.add(20), idle.add(10)
    assert idle.closer.make_room(DESCRIPTORS)
    used.deadline += 15
    assert idle.closer.make_room(DESCRIPTORS)
    assert used not in idle.closer.closing


def test_a_request_that_arrives_before_the_end_is_served(idle: Idle) -> None:
    connection = idle.add(5)

    class Late(socket.socket):
        """Its peer sends a request just before it is shut down."""

        def shutdown(self, how: int) -> None:
            idle.peers[0].sendall(KEEP)
            super().shutdown(how)

    assert isinstance(connection.sock, socket.socket)
    connection.sock = Late(fileno=connection.sock.detach())
    assert idle.closer.make_room(DESCRIPTORS)
    assert connection.receive()
    assert connection.head is not None


def test_one_pass_finds_many(idle: Idle) -> None:
    for seconds in range(1, CANDIDATES + 2):
        idle.add(seconds)
    for _ in range(CANDIDATES):
        assert idle.closer.make_room(DESCRIPTORS)
    assert idle.scans == 1
    assert idle.closer.make_room(DESCRIPTORS)
    assert idle.scans == 2


def test_a_pass_in_vain_is_not_repeated_at_once(idle: Idle) -> None:
    for _ in range(3):
        assert not idle.closer.make_room(DESCRIPTORS)
    assert idle.scans == 1
    idle.now += idle_closer.SCAN_INTERVAL
    assert not idle.closer.make_room(DESCRIPTORS)
    assert idle.scans == 2


def test_it_is_logged_once_a_minute(idle: Idle, capfd: pytest.CaptureFixture[str]) -> None:
    for seconds in (5, 4, 3, 2):
        idle.add(seconds)
    for wait in (0, 1, 1, idle_closer.LOG_INTERVAL):
        idle.now += wait
        assert idle.closer.make_room(CONNECTIONS)
    log = capfd.readouterr().err
    assert log.count("Closing idle keep-alive connections") == 2
    assert "--limit-connections is reached: 1 since" in log
    assert "--limit-connections is reached: 3 since" in log


@pytest.mark.parametrize(("limit", "first"), [(64, 60), (1024, 960), (100_000, 100_000 - 256)])
def test_a_share_of_the_descriptors_is_kept_free(limit: int, first: int) -> None:
    assert scarce_from(limit) == first


# In a server


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle connections may be closed as soon as they are idle."""
    monkeypatch.setattr("ropewalk.net.idle_closer.MIN_IDLE_SECONDS", 0.0)


def keep(talk: Talk, server: WorkerService) -> Client:
    """A client that keeps its connection after a response."""
    client = talk.connect(server)
    client.send(KEEP)
    assert client.read_response()[0].startswith(b"HTTP/1.1 200 ")
    return client


def closed(server: WorkerService) -> dict[str, int]:
    return server.service.snapshot()["counters"]["closed_idle"]


def are_idle(server: WorkerService, count: int) -> bool:
    return server.service.snapshot()["gauges"]["connections"].get("idle") == count


@pytest.mark.usefixtures("at_once")
def test_at_the_limit_of_connections_the_oldest_makes_room(talk: Talk, wait_for: WaitFor) -> None:
    server = talk.serve_as_worker(answering(), limit_connections=2)
    first, second = keep(talk, server), keep(talk, server)
    wait_for(lambda: are_idle(server, 2), "the responses")
    assert closed(server) == {}
    keep(talk, server)
    assert first.read_all() == b""
    second.send(KEEP)
    assert second.read_response()[0].startswith(b"HTTP/1.1 200 ")
    assert closed(server) == {"connections": 1}


@pytest.mark.usefixtures("at_once")
def test_requests_are_kept_and_the_new_one_is_refused(talk: Talk, wait_for: WaitFor) -> None:
    server = talk.serve_as_worker(answering(), limit_connections=2)
    busy = [talk.connect(server) for _ in range(2)]
    for client in busy:
        client.send(KEEP[:-2])
    wait_for(lambda: server.service.snapshot()["gauges"]["connections"] == {"head": 2}, "the requests")
    assert talk.connect(server).read_all().startswith(b"HTTP/1.1 503 ")
    for client in busy:
        client.send(b"\r\n")
        assert client.read_response()[0].startswith(b"HTTP/1.1 200 ")


@pytest.mark.usefixtures("at_once")
def test_no_more_is_closed_than_comes(talk: Talk, wait_for: WaitFor) -> None:
    server = talk.serve_as_worker(answering(), limit_connections=20)
    for _ in range(20):
        keep(talk, server)
    wait_for(lambda: are_idle(server, 20), "the responses")
    newcomers = [talk.connect(server) for _ in range(10)]
    for client in newcomers:
        client.send(KEEP)
    for client in newcomers:
        assert client.read_response()[0].startswith(b"HTTP/1.1 200 ")
    wait_for(lambda: are_idle(server, 20), "the close of the others")
    assert closed(server) == {"connections": 10}


@pytest.fixture
def limit_restored() -> Iterator[None]:
    """The limit may be lowered in the test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("at_once", "limit_restored")
def test_without_a_free_descriptor_the_oldest_makes_room(talk: Talk, wait_for: WaitFor) -> None:
    server = talk.serve_as_worker(answering())
    first = keep(talk, server)
    keep(talk, server)
    wait_for(lambda: are_idle(server, 2), "the responses")
    third = socket.socket()
    third.settimeout(PATIENCE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    fillers = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        with suppress(OSError):
            while True:
                fillers.append(os.dup(0))
        third.connect(server.address)
        third.sendall(KEEP)
        assert third.recv(100).startswith(b"HTTP/1.1 200 ")
        assert first.read_all() == b""
        assert closed(server) == {"descriptors": 1}
    finally:
        third.close()
        for filler in fillers:
            os.close(filler)
