"""How long a connection waits for a request, and which responses close it: `--keep-alive`, also with 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import trustme

import ropewalk
from tests.helpers.certificates import HOST, Certificates
from tests.helpers.embedded import Talk, answering
from tests.helpers.http_client import Client

KEEP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OLD_KEEP = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
LONG = 600.0

KINDS = ["plain", "proxy", "tls", "proxy and tls"]
"""What precedes the first request of a connection."""


class Kind:
    """Servers and clients that agree on what precedes the first request."""

    def __init__(self, talk: Talk, name: str, certificates: Certificates, stack: ExitStack) -> None:
        self._talk = talk
        self._has_proxy, self._has_tls = "proxy" in name, "tls" in name
        self._certificates = certificates
        self._stack = stack

    def serve(self, application: Any, **settings: Any) -> ropewalk.Server:
        if self._has_proxy:
            settings["proxy_protocol"] = "v1"
        if self._has_tls:
            settings |= self._certificates.make(HOST)
        return self._talk.serve(application, **settings)

    def connect(self, server: ropewalk.Server) -> Client:
        client = Client(server.address)
        self._stack.callback(lambda: client.sock.close())
        if self._has_proxy:
            client.send(b"PROXY UNKNOWN\r\n")
        if self._has_tls:
            client.sock = self._certificates.client_context().wrap_socket(client.sock, server_hostname=HOST)
        return client

    def wait_a_sweep(self, server: ropewalk.Server) -> None:
        """Return when the server has ended everything that had less than a second; `request_body_timeout` is 1."""
        clock = self.connect(server)
        clock.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx")
        assert clock.read_all().startswith(b"HTTP/1.1 408 ")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(trustme.CA(), tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, talk: Talk, certificates: Certificates) -> Iterator[Kind]:
    with ExitStack() as stack:
        yield Kind(talk, request.param, certificates, stack)


@pytest.mark.parametrize("keep_alive", [0, 0.1])
def test_a_first_request_has_longer_than_keep_alive(kind: Kind, keep_alive: float) -> None:
    server = kind.serve(answering(), keep_alive=keep_alive, request_head_timeout=LONG, request_body_timeout=1)
    client = kind.connect(server)
    kind.wait_a_sweep(server)
    client.send(KEEP)
    assert client.read_response()[1] == b"ok"
    assert client.read_all() == b""


def test_a_first_request_has_no_longer_than_a_head(kind: Kind) -> None:
    server = kind.serve(answering(), keep_alive=LONG, request_head_timeout=1)
    assert kind.connect(server).read_all() == b""


def test_each_later_request_has_the_time_of_keep_alive(kind: Kind) -> None:
    server = kind.serve(answering(), keep_alive=LONG, request_head_timeout=1, request_body_timeout=1)
    client = kind.connect(server)
    for _ in range(2):
        client.send(KEEP)
        assert client.read_response()[1] == b"ok"
        kind.wait_a_sweep(server)


def test_the_head_of_a_first_request_has_its_time_from_its_first_octet(kind: Kind) -> None:
    server = kind.serve(answering(), keep_alive=0, request_head_timeout=1)
    client = kind.connect(server)
    client.send(KEEP[:10])
    assert client.read_all().startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("request_head", [KEEP, OLD_KEEP, KEEP.replace(b"GET", b"HEAD"), KEEP * 3])
def test_without_keep_alive_every_response_says_so_and_closes(kind: Kind, request_head: bytes) -> None:
    client = kind.connect(kind.serve(answering(), keep_alive=0))
    client.send(request_head)
    response = client.read_all()
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert response.count(b"HTTP/1.1 ") == 1
    assert response.lower().count(b"\r\nconnection: close\r\n") == 1
    assert b"keep-alive" not in response.lower()


@pytest.mark.parametrize(
    "application",
    [
        answering(iter, headers=[("X-Kind", "streamed")]),
        answering(lambda: (part for part in (b"a", b"b")), headers=[("Content-Length", "2")]),
        answering([], status="304 Not Modified"),
        answering([], status="204 No Content"),
        answering([b"gone"], status="410 Gone", headers=[("Date", "Sun, 06 Nov 1994 08:49:37 GMT")]),
        lambda environ, start_response: 1 / 0,
    ],
    ids=["empty", "generator", "304", "204", "410", "500"],
)
def test_without_keep_alive_it_holds_for_any_response(talk: Talk, application: Callable[..., Any]) -> None:
    client = talk.connect(talk.serve(application, keep_alive=0))
    client.send(KEEP * 2)
    response = client.read_all()
    assert response.count(b"HTTP/1.1 ") == 1
    assert response.lower().count(b"\r\nconnection: close\r\n") == 1


@pytest.mark.parametrize(("request_head", "says"), [(KEEP, b""), (OLD_KEEP, b"keep-alive")])
def test_with_keep_alive_the_connection_stays_open(kind: Kind, request_head: bytes, says: bytes) -> None:
    client = kind.connect(kind.serve(answering(), keep_alive=LONG))
    for _ in range(3):
        client.send(request_head)
        head, content = client.read_response()
        assert content == b"ok"
        assert (b"\r\nConnection: %b\r\n" % says in head) if says else (b"Connection:" not in head)
