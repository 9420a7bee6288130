"""`ropewalk.client_disconnected`: what an application learns of its client."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

from ropewalk.net.disconnection import is_disconnected
from tests.helpers.certificates import HOST, Certificates, TlsClient
from tests.helpers.embedded import Talk
from tests.helpers.http_client import GET, PATIENCE, Client

WaitFor = Callable[[Callable[[], object], str], None]
RESET = struct.pack("ii", 1, 0)


class Watching:
    """Stays inside until its client is gone, or it may go on; `ask` is its callable."""

    def __init__(self, *, streams: bool = False) -> None:
        self.ask: Callable[[], bool] | None = None
        self.is_inside, self.has_seen, self.go_on = threading.Event(), threading.Event(), threading.Event()
        self._streams = streams

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        if self._streams:
            yield b"first"
        self.ask = ask = environ["ropewalk.client_disconnected"]
        assert ask() is False
        self.is_inside.set()
        while not self.go_on.wait(0.001):
            if ask():
                self.has_seen.set()
                return
        yield b"content"


@pytest.fixture(params=[False, True], ids=["before the response", "while it streams"])
def application(request: pytest.FixtureRequest) -> Iterator[Watching]:
    watching = Watching(streams=request.param)
    yield watching
    watching.go_on.set()


def begin(client: Client, application: Watching, request: bytes = GET) -> None:
    client.send(request)
    assert application.is_inside.wait(PATIENCE)


@pytest.mark.parametrize("how", ["closes", "resets", "closes after another request"])
@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_a_client_that_goes_away_is_noticed(
    talk: Talk, application: Watching, how: str, family: str, tmp_path: Any
) -> None:
    bind = {"bind": f"unix:{tmp_path}/socket"} if family == "unix" else {}
    client = talk.connect(talk.serve(application, **bind))
    begin(client, application, GET + GET if "another" in how else GET)
    if how == "resets":
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.sock.close()
    assert application.has_seen.wait(PATIENCE)


def test_a_client_that_stays_is_there(talk: Talk, application: Watching, wait_for: WaitFor) -> None:
    server = talk.serve(application)
    client = talk.connect(server)
    begin(client, application)
    application.go_on.set()
    assert b"content" in client.read_all()
    assert not application.has_seen.is_set()
    assert application.ask is not None
    wait_for(application.ask, "the end of the connection")  # closed by the server: nobody reads any more


def test_a_client_of_tls_that_goes_away_is_noticed(
    talk: Talk, application: Watching, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificates = Certificates(trustme.CA(), tmp_path_factory.mktemp("certificates"))
    server = talk.serve(application, **certificates.make(HOST))
    client = talk.keep(TlsClient(server.address, certificates.client_context()))
    begin(client, application)
    client.sock.close()
    assert application.has_seen.wait(PATIENCE)


def test_a_socket_that_is_closed_meanwhile_is_disconnected() -> None:
    """Another thread may close it, and its number may be another connection's then."""

    class Closing:
        def __init__(self, fd: int) -> None:
            self.fds = [fd, -1]

        def fileno(self) -> int:
            return self.fds.pop(0)

    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not is_disconnected(ours)
        assert is_disconnected(Closing(ours.fileno()))
    assert is_disconnected(ours)
