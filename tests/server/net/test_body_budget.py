"""What all request bodies of a worker may hold together, and how slowly one may arrive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ropewalk.net.body_budget import UNCOUNTED_OCTETS
from ropewalk.net.connection import MIN_BODY_RATE
from ropewalk.net.connection_states import State
from tests.helpers.connections import TIMEOUT, Surroundings, socket_pair
from tests.helpers.embedded import Talk, WorkerService, answering
from tests.helpers.http_client import GET, PATIENCE, Client

WaitFor = Callable[[Callable[[], object], str], None]

MIB = 1024 * 1024
LENGTH = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n"


def serve(talk: Talk, application: Any = None) -> WorkerService:
    """A server that has room for a body of a mebibyte."""
    return talk.serve_as_worker(application or answering(), limit_request_bodies="1M", limit_request_body="1M")


def held(server: WorkerService) -> int:
    return server.service.snapshot()["gauges"]["buffered_bytes"]["request_bodies"]


def hold(talk: Talk, server: WorkerService, wait_for: WaitFor, octets: int) -> Client:
    """A client that has sent all but the last octet of a body, whose `octets` are counted."""
    before, length = held(server), octets + UNCOUNTED_OCTETS + 1
    client = talk.connect(server)
    client.send(LENGTH % length + bytes(length - 1))
    wait_for(lambda: held(server) == before + octets, "the body")
    return client


def fill(talk: Talk, server: WorkerService, wait_for: WaitFor, octets: int) -> tuple[Client, Client]:
    """Two clients whose bodies together have `octets` counted: more than one of them may send."""
    return hold(talk, server, wait_for, octets // 2), hold(talk, server, wait_for, octets - octets // 2)


def test_bodies_have_room_up_to_the_limit(talk: Talk, wait_for: WaitFor) -> None:
    server = serve(talk)
    for client in fill(talk, server, wait_for, MIB - 2):  # and an octet more each
        client.send(b"x")
        assert client.read_response()[0].startswith(b"HTTP/1.1 200 ")
    wait_for(lambda: held(server) == 0, "the release of the bodies")


@pytest.mark.parametrize("framing", [LENGTH, CHUNKED])
def test_a_body_past_the_limit_is_503(talk: Talk, wait_for: WaitFor, framing: bytes) -> None:
    server = serve(talk)
    first, second = fill(talk, server, wait_for, MIB - 1000)
    other = talk.connect(server)
    length = UNCOUNTED_OCTETS + 1001
    other.send(framing % length + (b"" if framing is LENGTH else bytes(length)))
    response = other.read_all()
    assert response.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in response
    assert server.service.snapshot()["counters"]["shed"] == {"bodies": 1}
    for client in (first, second):
        client.send(b"x")
        assert client.read_response()[0].startswith(b"HTTP/1.1 200 ")
    wait_for(lambda: held(server) == 0, "the release of the bodies")


def test_it_is_refused_before_it_is_sent(talk: Talk, wait_for: WaitFor) -> None:
    server = serve(talk)
    fill(talk, server, wait_for, MIB - 1000)
    other = talk.connect(server)
    other.send(LENGTH.replace(b"Host", b"Expect: 100-continue\r\nHost") % (UNCOUNTED_OCTETS + 1001))
    response = other.read_all()
    assert response.startswith(b"HTTP/1.1 503 ")


def test_forms_are_accepted_even_so(talk: Talk, wait_for: WaitFor) -> None:
    server = serve(talk)
    fill(talk, server, wait_for, MIB - 1)
    form = talk.connect(server)
    form.send(LENGTH % UNCOUNTED_OCTETS)
    form.send(bytes(UNCOUNTED_OCTETS))
    assert form.read_response()[0].startswith(b"HTTP/1.1 200 ")


def test_the_largest_body_has_room_whatever_the_limit(talk: Talk, wait_for: WaitFor) -> None:
    server = talk.serve_as_worker(answering(), limit_request_bodies="1M", limit_request_body="2M")
    client = hold(talk, server, wait_for, 2 * MIB - UNCOUNTED_OCTETS - 1)
    client.send(b"x")
    assert client.read_response()[0].startswith(b"HTTP/1.1 200 ")


def test_a_peer_that_leaves_gives_its_room_back(talk: Talk, wait_for: WaitFor) -> None:
    server = serve(talk)
    hold(talk, server, wait_for, MIB // 2).sock.close()
    wait_for(lambda: held(server) == 0, "the release of the body")


@pytest.mark.parametrize("leaves", ["while it runs", "after it ran"])
def test_a_peer_that_leaves_its_stream_does_too(talk: Talk, wait_for: WaitFor, leaves: str) -> None:
    go_on, is_over = threading.Event(), threading.Event()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            yield bytes(20_000_000)
            assert go_on.wait(PATIENCE)
        finally:
            is_over.set()

    server = serve(talk, application)
    client = hold(talk, server, wait_for, MIB // 2)
    client.send(b"x")
    client.read_until(b"\r\n\r\n")
    assert held(server) > 0
    if leaves == "after it ran":
        go_on.set()
        assert is_over.wait(PATIENCE)
        wait_for(lambda: not server.service.running(), "the end of the run")
    client.sock.close()
    go_on.set()
    wait_for(lambda: held(server) == 0, "the release of the body")


@pytest.mark.parametrize("missing", [0, 1])
def test_a_body_has_to_arrive_at_a_rate_all_along(monkeypatch: pytest.MonkeyPatch, missing: int) -> None:
    now = 1000.0
    monkeypatch.setattr("ropewalk.net.connection.monotonic", lambda: now)
    peer, ours = socket_pair()
    surroundings = Surroundings()
    connection = surroundings.connection(ours)
    peer.sendall(LENGTH % 10_000_000)
    connection.receive()
    for _ in range(10):  # a fast beginning
        peer.sendall(bytes(50_000))
        connection.receive()
    for _ in range(2):  # the end of the first period, which the fast beginning has earned
        now += TIMEOUT / 2
        peer.sendall(b"x")
        connection.receive()
    assert connection.state is State.BODY
    octets = int(MIN_BODY_RATE * TIMEOUT)
    for part in (octets // 2, octets - octets // 2 - missing):
        now += TIMEOUT / 2
        peer.sendall(bytes(part))
        connection.receive()
    assert surroundings.refused == ([408] if missing else [])
    connection.close()
    peer.close()


def test_a_request_without_a_body_is_served_when_there_is_no_room(talk: Talk, wait_for: WaitFor) -> None:
    server = serve(talk)
    fill(talk, server, wait_for, MIB - 1)
    client = talk.connect(server)
    client.send(GET)
    assert client.read_all().startswith(b"HTTP/1.1 200 ")
