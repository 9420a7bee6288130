"""What comes before the first request: handshakes that succeed, fail, stall or never begin."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

import ropewalk
from ropewalk.net.connection_states import State
from ropewalk.net.handshake import PLAIN_HTTP_RESPONSE, Handshake
from ropewalk.net.tls import Certificate, TlsConfig, TlsContext, TlsSocket
from tests.helpers.certificates import HOST, Certificates, TlsClient, read_raw
from tests.helpers.connections import Surroundings
from tests.helpers.embedded import Talk, answering
from tests.helpers.http_client import GET, Client

WaitFor = Callable[[Callable[[], object], str], None]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(trustme.CA(), tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def settings(certificates: Certificates) -> dict[str, Any]:
    return certificates.make(HOST)


def is_served(server: ropewalk.Server, certificates: Certificates) -> bool:
    client = TlsClient(server.address, certificates.client_context())
    with client.sock:
        client.send(GET)
        return client.read_all().endswith(b"\r\n\r\nok")


def connections(server: ropewalk.Server) -> int:
    return server.stats().connections


def no_context(handshake: Handshake[None]) -> None:
    """In place of what the layers above prepare."""


class TestAlone:
    """A handshake without a server around it."""

    @pytest.fixture
    def pair(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            yield ours, theirs

    @pytest.fixture
    def context(self, settings: dict[str, Any]) -> TlsContext:
        return TlsContext(TlsConfig(Certificate(settings["certfile"], settings["keyfile"])))

    def test_without_anything_to_do_it_is_done(self, pair: tuple[socket.socket, socket.socket]) -> None:
        handshake = Handshake(pair[0], proxy_protocol="off", tls_context=None, make_context=no_context)
        assert handshake.advance()
        assert handshake.sock is pair[0]
        assert not handshake.variables

    def test_a_handshake_goes_on_with_each_event(
        self, pair: tuple[socket.socket, socket.socket], context: TlsContext, certificates: Certificates
    ) -> None:
        handshake = Handshake(pair[0], proxy_protocol="off", tls_context=context, make_context=no_context)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = certificates.client_context().wrap_bio(incoming, outgoing, server_hostname=HOST)
        is_shaken = is_open = False
        while not is_open:
            if not is_shaken:
                try:
                    client.do_handshake()
                    is_shaken = True
                except ssl.SSLWantReadError:
                    pass
            for octet in outgoing.read():
                assert not is_open
                with pytest.raises(BlockingIOError) if not is_shaken else _either():
                    is_open = handshake.advance()
                pair[1].send(bytes([octet]))
            try:
                is_open = handshake.advance()
            except BlockingIOError:
                assert not handshake.wants_output
                incoming.write(pair[1].recv(65536))
        assert isinstance(handshake.sock, TlsSocket)
        assert handshake.variables["SSL_PROTOCOL"] == client.version()
        assert handshake.variables["SSL_CIPHER"]
        handshake.sock.close()

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "M-SEARCH"])
    def test_plain_http_on_a_tls_port_is_answered_with_an_explanation(
        self, pair: tuple[socket.socket, socket.socket], context: TlsContext, method: str
    ) -> None:
        handshake = Handshake(pair[0], proxy_protocol="off", tls_context=context, make_context=no_context)
        pair[1].send(method.encode() + b" / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionAbortedError):
            handshake.advance()
        handshake.sock.close()
        assert read_raw(pair[1]) == PLAIN_HTTP_RESPONSE

    def test_a_peer_that_says_nothing_has_no_session(
        self, pair: tuple[socket.socket, socket.socket], context: TlsContext
    ) -> None:
        handshake = Handshake(pair[0], proxy_protocol="off", tls_context=context, make_context=no_context)
        with pytest.raises(BlockingIOError):
            handshake.advance()
        assert handshake.sock is pair[0]
        pair[1].close()
        with pytest.raises(ConnectionAbortedError):
            handshake.advance()

    def test_after_it_the_time_of_a_request_begins(
        self, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 1000.0
        monkeypatch.setattr("ropewalk.net.connection.monotonic", lambda: now)
        handshake = Handshake(pair[0], proxy_protocol="v1", tls_context=None, make_context=no_context)
        connection = Surroundings().connection(pair[0], handshake, head_timeout=10, idle_timeout=600)
        pair[1].send(b"PROXY ")
        assert not connection.receive()
        assert (connection.state, connection.deadline) == (State.HANDSHAKE, 1010.0)
        now = 1005.0
        pair[1].send(b"UNKNOWN\r\n")
        assert not connection.receive()
        assert (connection.state, connection.deadline) == (State.IDLE, 1015.0)

    def test_that_response_has_its_length(self) -> None:
        head, _, content = PLAIN_HTTP_RESPONSE.partition(b"\r\n\r\n")
        assert b"\r\nContent-Length: %d\r\n" % len(content) in head

    def test_a_peer_that_went_before_it_began_is_an_oserror_and_leaves_the_socket(self, context: TlsContext) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            client.connect(listener.getsockname())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            ours, _ = listener.accept()
            with ours:
                client.close()
                handshake = Handshake(ours, proxy_protocol="off", tls_context=context, make_context=no_context)
                with pytest.raises(ConnectionResetError):
                    handshake.advance()
                with pytest.raises(OSError, match="not connected"):
                    context.wrap(ours)
                assert handshake.sock is ours
                assert ours.fileno() >= 0


class _either:  # noqa: N801 - reads as a word in its one place
    """Where both an open connection and one that wants more are right."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is BlockingIOError


class TestServer:
    """The same with a server around it, which serves others meanwhile."""

    def test_a_plain_request_gets_its_400_and_no_reset(self, talk: Talk, settings: dict[str, Any]) -> None:
        client = talk.connect(talk.serve(answering(), **settings))
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 5000 + b"\r\n\r\n")
        response = client.read_all()
        assert response.startswith(PLAIN_HTTP_RESPONSE)
        assert not response.endswith(b"RESET")

    @pytest.mark.parametrize(
        "octets",
        [
            b"\0" * 1000,
            b"\xff" * 1000,
            b"SSH-2.0-OpenSSH_9.9\r\n",
            b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\xff\xff" + b"x" * 70_000,  # a record longer than any may be
            b"\x16\x03\x01\0\x04\x01\xff\xff\xff" + b"\x16\x03\x01\x40\x00" + b"x" * 16384,  # a hello of 16 MB
            b"\x17\x03\x03\0\x05hello",  # content before any handshake
            b"\x15\x03\x01\0\x02\x02\x28",  # an alert
            b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10" + b"x" * 37,  # the hello of SSL 2
        ],
    )
    def test_garbage_ends_the_connection(
        self, talk: Talk, certificates: Certificates, settings: dict[str, Any], wait_for: WaitFor, octets: bytes
    ) -> None:
        server = talk.serve(answering(), request_head_timeout=1000, **settings)
        client = talk.connect(server)
        with contextlib.suppress(ConnectionError):
            client.send(octets)
        assert b"HTTP/1.1 200" not in read_raw(client.sock)
        wait_for(lambda: not connections(server), "the end of the connection")
        assert is_served(server, certificates)

    @pytest.mark.parametrize("first", [b"", b"\x16", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"])
    def test_a_handshake_that_stalls_is_ended_in_time(
        self, talk: Talk, settings: dict[str, Any], wait_for: WaitFor, first: bytes
    ) -> None:
        server = talk.serve(answering(), request_head_timeout=1, **settings)
        client = talk.connect(server)
        client.send(first)
        assert b"HTTP" not in read_raw(client.sock)
        wait_for(lambda: not connections(server), "the end of the connection")

    def test_handshake_that_creeps_is_ended_in_time(
        self, talk: Talk, settings: dict[str, Any], wait_for: WaitFor
    ) -> None:
        """Octets do not postpone the deadline."""
        server = talk.serve(answering(), request_head_timeout=1, **settings)
        client = talk.connect(server)
        hello = b"\x16\x03\x01\x40\0\x01\0\x3f\xfc\x03\x03" + b"x" * 16384
        is_over = threading.Event()

        def creep() -> None:
            for octet in hello:
                try:
                    client.sock.send(bytes([octet]))
                except OSError:
                    break
                if is_over.wait(0.01):
                    break

        creeping = threading.Thread(target=creep)
        creeping.start()
        try:
            read_raw(client.sock)
            wait_for(lambda: not connections(server), "the end of the connection")
        finally:
            is_over.set()
            creeping.join()

    @pytest.mark.parametrize("is_reset", [True, False])
    def test_peers_that_vanish_are_forgotten(
        self, talk: Talk, certificates: Certificates, settings: dict[str, Any], wait_for: WaitFor, is_reset: bool
    ) -> None:
        server = talk.serve(answering(), request_head_timeout=1000, **settings)
        for first in (b"", b"\x16", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03") * 10:
            client = Client(server.address)
            if is_reset:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.send(first)
            client.sock.close()
        assert is_served(server, certificates)  # which was accepted after them
        wait_for(lambda: not connections(server), "the end of the connections")

    def test_200_that_stand_still_hold_nobody_up(
        self, talk: Talk, certificates: Certificates, settings: dict[str, Any], wait_for: WaitFor
    ) -> None:
        server = talk.serve(answering(), threads=2, request_head_timeout=1000, **settings)
        threads = threading.active_count()
        for number in range(200):
            talk.connect(server).send(b"\x16\x03\x01\x02\0\x01"[: number % 7])
        assert all(is_served(server, certificates) for _ in range(20))
        assert connections(server) >= 200
        assert threading.active_count() == threads

    def test_on_a_unix_socket_too(self, talk: Talk, certificates: Certificates, settings: Any, tmp_path: Path) -> None:
        assert is_served(talk.serve(answering(), bind=f"unix:{tmp_path / 'socket'}", **settings), certificates)

    def test_past_the_limit_of_connections_there_is_no_handshake(
        self, talk: Talk, certificates: Certificates, settings: dict[str, Any]
    ) -> None:
        server = talk.serve(answering(), limit_connections=2, **settings)
        for _ in range(2):
            talk.connect(server)
        assert read_raw(talk.connect(server).sock) == b""
