"""TLS as a peer sees it: real handshakes with a real server."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from ast import literal_eval
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

import ropewalk
from ropewalk.errors import ConfigError
from ropewalk.net.tls import Certificate, TlsConfig, TlsContext, TlsSocket, _distinguished_name
from tests.helpers.certificates import HOST, Certificates, TlsClient, read_raw
from tests.helpers.embedded import Talk, answering
from tests.helpers.http_client import GET, Client

KEEP = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"
PATIENCE = 20.0

Environ = dict[str, Any]
WaitFor = Callable[[Callable[[], object], str], None]


def echo(environ: Environ, start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Path", environ["PATH_INFO"])])
    return [body]


def show_variables(environ: Environ, start_response: Any) -> list[bytes]:
    """Responds with the environ's variables of TLS, a line each."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=latin-1")])
    names = [name for name in environ if name.startswith(("SSL_", "HTTPS", "HTTP_SSL"))]
    lines = [f"{name}={environ[name]!r}" for name in [*names, "wsgi.url_scheme"]]
    return ["\n".join(lines).encode("latin-1")]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(trustme.CA(), tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def settings(certificates: Certificates) -> dict[str, Any]:
    """What makes a server speak TLS."""
    return certificates.make(HOST)


class TlsTalk:
    """Servers and clients of one test."""

    def __init__(self, talk: Talk, certificates: Certificates, settings: dict[str, Any]) -> None:
        self._talk = talk
        self._settings = settings
        self.certificates = certificates

    def serve(self, application: Any, **settings: Any) -> ropewalk.Server:
        return self._talk.serve(application, **(self._settings | settings))

    def connect(
        self, server: ropewalk.Server, context: ssl.SSLContext | None = None, name: str = HOST, **options: Any
    ) -> TlsClient:
        return self._talk.keep(
            TlsClient(server.address, context or self.certificates.client_context(), name, **options)
        )

    def connect_plain(self, server: ropewalk.Server) -> Client:
        return self._talk.connect(server)

    def ask(self, application: Any, request: bytes = GET, **settings: Any) -> bytes:
        client = self.connect(self.serve(application, **settings))
        client.send(request)
        return client.read_all()


@pytest.fixture
def tls(talk: Talk, certificates: Certificates, settings: dict[str, Any]) -> TlsTalk:
    return TlsTalk(talk, certificates, settings)


class BioClient:
    """A client that holds the octets between TLS and the socket in its hands."""

    piece = 65536  # octets sent at a time

    def __init__(self, tls: TlsTalk, server: ropewalk.Server) -> None:
        self.sock = tls.connect_plain(server).sock
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = tls.certificates.client_context().wrap_bio(self._incoming, self._outgoing, server_hostname=HOST)

    def step(self, step: Callable[[], Any]) -> Any:
        """Take a step of the session, and send and receive what it needs."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                octets = self._outgoing.read()
                for start in range(0, len(octets), self.piece):
                    self.sock.sendall(octets[start : start + self.piece])
                data = self.sock.recv(65536)
                assert data, "the connection ended"
                self._incoming.write(data)


class TestRequests:
    def test_request_is_answered_and_its_end_is_reported(self, tls: TlsTalk) -> None:
        response = tls.ask(answering())
        assert response.startswith(b"HTTP/1.1 200 OK\r\n")
        assert response.endswith(b"\r\n\r\nok")

    def test_many_requests_on_one_connection(self, tls: TlsTalk) -> None:
        client = tls.connect(tls.serve(echo))
        for number in range(50):
            client.send(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n%03d" % (number, number))
            head, content = client.read_response()
            assert content == b"%03d" % number
            assert b"X-Path: /%d\r\n" % number in head

    def test_pipelined_requests_are_answered_in_order(self, tls: TlsTalk) -> None:
        client = tls.connect(tls.serve(echo))
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(2000)))
        for number in range(2000):
            assert b"X-Path: /%d\r\n" % number in client.read_response()[0]

    def test_a_request_in_records_of_one_octet(self, tls: TlsTalk) -> None:
        client = tls.connect(tls.serve(echo))
        for octet in b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi":
            client.send(bytes([octet]))
        assert client.read_response()[1] == b"hi"

    def test_records_that_arrive_an_octet_at_a_time(self, tls: TlsTalk) -> None:
        client = BioClient(tls, tls.serve(echo))
        client.piece = 1
        client.step(client.session.do_handshake)
        client.session.write(KEEP)
        assert client.step(lambda: client.session.read(65536)).startswith(b"HTTP/1.1 200 ")

    @pytest.mark.parametrize("is_chunked", [False, True])
    @pytest.mark.parametrize("body_memory", ["64k", "10M"])
    def test_an_upload_of_5_mb_comes_back_whole(self, tls: TlsTalk, is_chunked: bool, body_memory: str) -> None:
        body = os.urandom(5_000_000)
        client = tls.connect(tls.serve(echo, body_memory=body_memory))
        if is_chunked:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for start in range(0, len(body), 70_001):
                part = body[start : start + 70_001]
                client.send(b"%x\r\n%b\r\n" % (len(part), part))
            client.send(b"0\r\n\r\n")
        else:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
            client.send(body)
        assert client.read_response()[1] == body

    def test_expect_gets_its_100(self, tls: TlsTalk) -> None:
        client = tls.connect(tls.serve(echo))
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hi")
        assert client.read_response()[1] == b"hi"

    def test_the_scheme_is_https(self, tls: TlsTalk) -> None:
        response = tls.ask(show_variables)
        assert b"wsgi.url_scheme='https'" in response
        assert b"HTTPS='on'" in response

    def test_a_target_may_say_https(self, tls: TlsTalk) -> None:
        response = tls.ask(
            show_variables, b"GET https://shop.example/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert response.startswith(b"HTTP/1.1 200 ")

    def test_without_tls_there_are_no_variables_of_it(self, talk: Talk) -> None:
        assert talk.ask(show_variables).partition(b"\r\n\r\n")[2] == b"wsgi.url_scheme='http'"


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(1_000_003) * 20


class TestLargeAnswers:
    """20 MB to a peer that begins to read when the server cannot go on: far more than the sockets hold."""

    @pytest.mark.parametrize("kind", ["list", "parts", "iterator", "generator", "tiny parts", "file"])
    def test_large_response_arrives_whole(self, tls: TlsTalk, tmp_path: Path, content: bytes, kind: str) -> None:
        path = tmp_path / "file"
        path.write_bytes(content)

        def parts(size: int) -> Iterator[bytes]:
            return (content[start : start + size] for start in range(0, len(content), size))

        def application(environ: Environ, start_response: Any) -> Any:
            start_response("200 OK", [])
            if kind == "list":
                return [content]
            if kind == "parts":
                return list(parts(300_007))
            if kind == "iterator":
                return iter(list(parts(300_007)))
            if kind == "tiny parts":
                return parts(4001)
            if kind == "file":
                return environ["wsgi.file_wrapper"](path.open("rb"))
            return parts(70_001)

        server = tls.serve(application, threads=1)
        client = tls.connect(server)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 262144)
        client.send(KEEP)
        head = client.read_until(b"\r\n\r\n")
        quick = tls.connect(server)  # while the first is stuck
        quick.send(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert quick.read_all().startswith(b"HTTP/1.1 200 ")
        if b"Transfer-Encoding: chunked" in head:
            received = self.read_chunked(client)
        else:
            received = read_count(client, len(content))
        assert received == content
        client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")  # the connection is still in step
        assert client.read_all().startswith(b"HTTP/1.1 200 ")

    def read_chunked(self, client: TlsClient) -> bytes:
        received = read_count_until(client, b"\r\n0\r\n\r\n")
        parts, position = [], 0
        while True:
            end = received.index(b"\r\n", position)
            size = int(received[position:end], 16)
            if not size:
                return b"".join(parts)
            parts.append(received[end + 2 : end + 2 + size])
            position = end + 2 + size + 2

    def test_a_peer_that_writes_while_it_reads(self, tls: TlsTalk, content: bytes) -> None:
        """Requests arrive while earlier responses wait for room; nothing may mix them up, or wait forever."""
        client = tls.connect(tls.serve(echo))
        client.sock.setblocking(False)
        count, size = 40, 500_000
        to_send = b"".join(
            b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (number, size)
            + content[number : number + size]
            for number in range(count)
        )
        received = exchange(client.sock, to_send, lambda octets: octets.count(b"HTTP/1.1 200 OK") == count, size)
        for number in range(count):
            head, _, rest = received.partition(b"\r\n\r\n")
            assert b"X-Path: /%d\r\n" % number in head + b"\r\n"
            assert rest[:size] == content[number : number + size]
            received = rest[size:]
        assert not received


def exchange(sock: ssl.SSLSocket, to_send: bytes, is_done: Callable[[bytearray], bool], last: int) -> bytes:
    """Send and receive at once, until `is_done`, and `last` octets after the last head."""
    received = bytearray()
    rest = memoryview(to_send)
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT)
    while rest or not is_done(received) or len(received) - received.rindex(b"\r\n\r\n") - 4 < last:
        if not rest:
            poll.modify(sock, select.POLLIN)
        assert sock.pending() or poll.poll(PATIENCE * 1000), "the server makes no progress"
        with contextlib.suppress(ssl.SSLWantReadError):
            while True:
                data = sock.recv(65536)
                assert data, "the connection ended"
                received += data
        if rest:
            with contextlib.suppress(ssl.SSLWantWriteError):
                rest = rest[sock.send(rest[:16384]) :]
    return bytes(received)


def read_count(client: Client, count: int) -> bytes:
    parts = [client.take(min(count, len(client.received)))]
    count -= len(parts[0])
    while count:
        data = client.sock.recv(min(count, 65536))
        assert data, "the content was cut"
        parts.append(data)
        count -= len(data)
    return b"".join(parts)


def read_count_until(client: Client, end: bytes) -> bytes:
    received = bytearray(client.take(len(client.received)))
    while not received.endswith(end):
        data = client.sock.recv(65536)
        assert data, "the content was cut"
        received += data
    return bytes(received)


class TestEnds:
    def test_a_response_that_ends_with_the_connection_ends_with_close_notify(self, tls: TlsTalk) -> None:
        response = tls.ask(answering(lambda: iter([b"a" * 100_000, b"b"])), b"GET / HTTP/1.0\r\n\r\n")
        assert b"Content-Length" not in response
        assert response.endswith(b"ab")

    def test_large_response_to_a_slow_reader_ends_with_close_notify(self, tls: TlsTalk) -> None:
        client = tls.connect(tls.serve(answering(lambda: (b"x" * 65536 for _ in range(300)))))
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 262144)
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        response = client.read_all()
        assert response.count(b"x") == 300 * 65536
        assert response.endswith(b"x")

    @pytest.mark.parametrize("version", [b"1.0", b"1.1"])
    @pytest.mark.parametrize("count", [1, 300])
    def test_aborted_response_does_not_end_with_close_notify(self, tls: TlsTalk, version: bytes, count: int) -> None:
        def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [])
            for _ in range(count):
                yield b"x" * 65536
            raise RuntimeError("midway")

        response = tls.ask(application, b"GET / HTTP/" + version + b"\r\nHost: x\r\n\r\n")
        assert response.endswith(b"CUT")

    def test_nor_does_one_that_is_aborted_at_the_stop(self, tls: TlsTalk) -> None:
        server = tls.serve(answering(lambda: (b"x" * 65536 for _ in range(300))))
        client = tls.connect(server)
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        client.read_until(b"\r\n\r\n")
        server.stop(0)
        assert client.read_all().endswith(b"CUT")

    def test_an_idle_connection_is_closed_in_order(self, tls: TlsTalk) -> None:
        client = tls.connect(tls.serve(echo, keep_alive=1))
        client.send(KEEP)
        client.read_response()
        assert client.read_all() == b""

    def test_a_connection_without_a_request_too(self, tls: TlsTalk) -> None:
        assert tls.connect(tls.serve(echo, request_head_timeout=1)).read_all() == b""

    def test_a_peer_may_end_its_side_and_still_read(self, tls: TlsTalk) -> None:
        client = tls.connect(tls.serve(answering()))
        client.send(GET)
        socket.socket.shutdown(client.sock, socket.SHUT_WR)
        assert client.read_all().endswith(b"ok")

    def test_a_peer_may_say_close_notify_and_still_read(self, tls: TlsTalk) -> None:
        client = BioClient(tls, tls.serve(answering()))
        client.step(client.session.do_handshake)
        client.session.write(KEEP)
        with pytest.raises(ssl.SSLWantReadError):
            client.session.unwrap()
        assert client.step(lambda: client.session.read(65536)).endswith(b"ok")
        with pytest.raises(ssl.SSLZeroReturnError):
            client.step(lambda: client.session.read(65536))

    def test_a_request_cut_short_is_no_request(self, tls: TlsTalk) -> None:
        seen: list[str] = []

        def application(environ: Environ, start_response: Any) -> list[bytes]:
            seen.append(environ["PATH_INFO"])
            return echo(environ, start_response)

        server = tls.serve(application)
        for half in (b"GET /a HTTP/1.1\r\nHost: x\r\n", b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"):
            client = tls.connect(server)
            client.send(half)
            socket.socket.shutdown(client.sock, socket.SHUT_WR)
            assert client.read_all() in (b"", b"CUT")
        client = tls.connect(server)
        client.send(GET)
        client.read_all()
        assert seen == ["/"]


class TestRefusal:
    def test_the_response_is_read_though_more_was_sent(self, tls: TlsTalk) -> None:
        client = tls.connect(tls.serve(echo, limit_request_body=1000))
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            client.send(b"x" * 900_000)
        response = client.read_all()
        assert response.startswith(b"HTTP/1.1 413 ")
        assert not response.endswith(b"CUT")

    def test_octets_after_a_refused_request_are_no_request(self, tls: TlsTalk) -> None:
        response = tls.ask(echo, b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + KEEP)
        assert response.startswith(b"HTTP/1.1 400 ")
        assert response.count(b"HTTP/1.1") == 1

    @pytest.mark.parametrize(
        "half", [b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"], ids=["head", "content"]
    )
    def test_a_request_that_takes_too_long_is_408(self, tls: TlsTalk, half: bytes) -> None:
        response = tls.ask(echo, half, request_head_timeout=1, request_body_timeout=1)
        assert response.startswith(b"HTTP/1.1 408 ")
        assert not response.endswith(b"CUT")

    def test_octets_that_are_no_record_end_the_connection(self, tls: TlsTalk, wait_for: WaitFor) -> None:
        server = tls.serve(echo)
        client = tls.connect(server)
        socket.socket.send(client.sock, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            client.sock.recv(100)
        wait_for(lambda: server.stats().connections == 0, "the end of the connection")


class TestVersions:
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_both_are_spoken(self, tls: TlsTalk, version: ssl.TLSVersion) -> None:
        context = tls.certificates.client_context()
        context.minimum_version = context.maximum_version = version
        client = tls.connect(tls.serve(show_variables), context)
        client.send(GET)
        assert f"SSL_PROTOCOL={client.sock.version()!r}".encode() in client.read_all()

    def test_an_older_one_than_allowed_is_refused(self, tls: TlsTalk) -> None:
        context = tls.certificates.client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        server = tls.serve(echo, tls_min_version="1.3")
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            tls.connect(server, context)
        assert tls.connect(server).sock.version() == "TLSv1.3"

    def test_tls_1_1_is_never_spoken(self, tls: TlsTalk) -> None:
        """The client's Python would not even offer it without lowering its guard; so the octets are given."""
        client = tls.connect_plain(tls.serve(echo))
        suites = b"\xc0\x13\xc0\x14\x00\x2f\x00\x35"
        hello = b"\x03\x02" + bytes(32) + b"\0" + len(suites).to_bytes(2) + suites + b"\1\0"
        client.send(b"\x16\x03\x01" + (len(hello) + 4).to_bytes(2) + b"\1" + len(hello).to_bytes(3) + hello)
        assert read_raw(client.sock) == b"\x15\x03\x02\0\x02\x02\x46"  # alert, fatal, protocol_version (70)

    def test_a_peer_is_not_asked_to_compress_nor_to_renegotiate(self, settings: dict[str, Any]) -> None:
        context = TlsContext(TlsConfig(Certificate(settings["certfile"], settings["keyfile"])))._default
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.options & ssl.OP_NO_RENEGOTIATION

    def test_a_session_is_resumed(self, tls: TlsTalk) -> None:
        server, context = tls.serve(answering()), tls.certificates.client_context()
        first = tls.connect(server, context)
        first.send(GET)
        first.read_all()
        second = tls.connect(server, context, session=first.sock.session)
        second.send(GET)
        assert second.read_all().endswith(b"ok")
        assert second.sock.session_reused


class TestApplicationProtocol:
    @pytest.mark.parametrize(("offered", "chosen"), [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1")])
    def test_http_1_1_is_chosen(self, tls: TlsTalk, offered: list[str], chosen: str) -> None:
        context = tls.certificates.client_context()
        context.set_alpn_protocols(offered)
        assert tls.connect(tls.serve(echo), context).sock.selected_alpn_protocol() == chosen

    def test_a_peer_that_wants_nothing_else_than_http_2_gets_none(self, tls: TlsTalk) -> None:
        """Python's ssl has no way to end the handshake here, as RFC 7301 wants; what follows is refused as HTTP."""
        context = tls.certificates.client_context()
        context.set_alpn_protocols(["h2"])
        client = tls.connect(tls.serve(echo), context)
        assert client.sock.selected_alpn_protocol() is None
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        response = client.read_all()
        assert response.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 505 "))
        assert response.count(b"HTTP/1.1 ") == 1


class TestClientCertificates:
    @pytest.fixture
    def with_certificate(self, tls: TlsTalk) -> ssl.SSLContext:
        context = tls.certificates.client_context()
        tls.certificates.authority.issue_cert(
            "ann@shop.example", organization_name="Ropes + Sons, Ltd", common_name="Änn"
        ).configure_cert(context)
        return context

    @pytest.fixture
    def by_a_stranger(self, tls: TlsTalk) -> ssl.SSLContext:
        context = tls.certificates.client_context()
        trustme.CA().issue_cert("ann@shop.example").configure_cert(context)
        return context

    def serve(self, tls: TlsTalk, mode: str) -> ropewalk.Server:
        return tls.serve(show_variables, cert_reqs=mode, ca_certs=tls.certificates.authority_file())

    def ask(self, tls: TlsTalk, server: ropewalk.Server, context: ssl.SSLContext | None = None) -> dict[str, str]:
        client = tls.connect(server, context)
        client.send(GET)
        lines = client.read_all().partition(b"\r\n\r\n")[2].decode("latin-1").splitlines()
        return {name: literal_eval(value) for name, _, value in (line.partition("=") for line in lines)}

    @pytest.mark.parametrize("mode", ["optional", "required"])
    def test_client_certificate_is_in_the_environ(
        self, tls: TlsTalk, with_certificate: ssl.SSLContext, mode: str
    ) -> None:
        found = self.ask(tls, self.serve(tls, mode), with_certificate)
        assert found["SSL_CLIENT_VERIFY"] == "SUCCESS"
        assert "Ropes \\+ Sons\\, Ltd" in found["SSL_CLIENT_S_DN"]
        assert found["SSL_CLIENT_S_DN"].encode("latin-1").decode().startswith("CN=Änn,")
        assert found["SSL_CLIENT_I_DN"].startswith("OU=Testing CA")
        assert int(found["SSL_CLIENT_M_SERIAL"], 16)
        assert found["SSL_CLIENT_V_START"].endswith(" GMT")
        assert found["SSL_CLIENT_V_END"].endswith(" GMT")
        assert ssl.PEM_cert_to_DER_cert(found["SSL_CLIENT_CERT"])

    def test_client_certificate_is_in_the_environ_of_a_resumed_session(
        self, tls: TlsTalk, with_certificate: ssl.SSLContext
    ) -> None:
        server = self.serve(tls, "required")
        first = tls.connect(server, with_certificate)
        first.send(GET)
        first.read_all()
        second = tls.connect(server, with_certificate, session=first.sock.session)
        second.send(GET)
        assert b"SSL_CLIENT_VERIFY='SUCCESS'" in second.read_all()
        assert second.sock.session_reused

    def test_optional_is_optional(self, tls: TlsTalk) -> None:
        found = self.ask(tls, self.serve(tls, "optional"))
        assert found["SSL_CLIENT_VERIFY"] == "NONE"
        assert not [name for name in found if name.startswith(("SSL_CLIENT_S", "SSL_CLIENT_C"))]

    def test_none_does_not_ask_for_it(self, tls: TlsTalk, with_certificate: ssl.SSLContext) -> None:
        found = self.ask(tls, tls.serve(show_variables), with_certificate)
        assert found["SSL_CLIENT_VERIFY"] == "NONE"

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_required_is_required(self, tls: TlsTalk, version: ssl.TLSVersion) -> None:
        context = tls.certificates.client_context()
        context.minimum_version = context.maximum_version = version
        with pytest.raises(ssl.SSLError, match=r"HANDSHAKE_FAILURE|CERTIFICATE_REQUIRED"):
            self.ask_and_read(tls, self.serve(tls, "required"), context)

    @pytest.mark.parametrize("mode", ["optional", "required"])
    def test_a_strangers_is_refused(self, tls: TlsTalk, by_a_stranger: ssl.SSLContext, mode: str) -> None:
        with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
            self.ask_and_read(tls, self.serve(tls, mode), by_a_stranger)

    def ask_and_read(self, tls: TlsTalk, server: ropewalk.Server, context: ssl.SSLContext) -> None:
        """A client of TLS 1.3 has sent its request already when it hears that it may not."""
        client = tls.connect(server, context)
        client.send(GET)
        client.sock.recv(100)

    def test_no_field_passes_for_it(self, tls: TlsTalk) -> None:
        server = self.serve(tls, "optional")
        client = tls.connect(server)
        client.send(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"SSL-Client-Verify: SUCCESS\r\nSSL-Client-S-DN: CN=root\r\nHTTPS: off\r\n\r\n"
        )
        response = client.read_all()
        assert b"SSL_CLIENT_VERIFY='NONE'" in response
        assert b"\nSSL_CLIENT_S_DN=" not in response
        assert b"\nHTTP_SSL_CLIENT_S_DN='CN=root'" in response
        client = tls.connect(server)
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nSSL_CLIENT_VERIFY: SUCCESS\r\n\r\n")
        assert b"SUCCESS" not in client.read_all()


class TestNames:
    @pytest.fixture
    def server(self, tls: TlsTalk) -> ropewalk.Server:
        entries = []
        for name in ("blog.example", "*.blog.example", "deep.www.blog.example"):
            files = tls.certificates.make(name)
            entries.append(f"{name}={files['certfile']},{files['keyfile']}")
        return tls.serve(echo, sni_certificate=entries)

    @pytest.mark.parametrize(
        ("asked", "subject"),
        [
            ("blog.example", "blog.example"),
            ("BLOG.Example", "blog.example"),
            ("www.blog.example", "*.blog.example"),
            ("deep.www.blog.example", "deep.www.blog.example"),
            ("deeper.www.blog.example", HOST),
            ("unknown.example", HOST),
            ("example", HOST),
            (None, HOST),
        ],
    )
    def test_the_certificate_fits_the_name(
        self, tls: TlsTalk, server: ropewalk.Server, asked: str | None, subject: str
    ) -> None:
        context = tls.certificates.client_context()
        context.check_hostname = False
        client = tls.connect(server, context, asked)
        names = client.sock.getpeercert()["subjectAltName"]
        assert names == (("DNS", subject),)
        client.send(GET)
        assert client.read_all().startswith(b"HTTP/1.1 200 ")

    def test_a_name_that_is_not_ascii_prints_nothing(self, tls: TlsTalk, monkeypatch: pytest.MonkeyPatch) -> None:
        reported: list[object] = []
        monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(unraisable.object))
        files = tls.certificates.make("blog.example")
        server = tls.serve(echo, sni_certificate=[f"blog.example={files['certfile']},{files['keyfile']}"])
        hello = ssl.MemoryBIO()
        client = tls.certificates.client_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="blog.example")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        peer = tls.connect_plain(server)
        peer.send(hello.read().replace(b"blog.example", b"bl\xffg.\x1bxample"))
        assert peer.read_all()[:1] == b"\x15"  # an alert
        assert reported == []
        assert tls.connect(server, name="blog.example").sock.version()

        class Failing:
            def __del__(self) -> None:
                raise ValueError

        Failing()
        assert len(reported) == 1  # what else is reported there still is

    def test_a_client_that_checks_the_name_is_content(self, tls: TlsTalk, server: ropewalk.Server) -> None:
        assert tls.connect(server, name="www.blog.example").sock.version()

    def test_client_certificates_are_asked_for_under_every_name(self, tls: TlsTalk) -> None:
        files = tls.certificates.make("blog.example")
        server = tls.serve(
            show_variables,
            cert_reqs="required",
            ca_certs=tls.certificates.authority_file(),
            sni_certificate=[f"blog.example={files['certfile']},{files['keyfile']}"],
        )
        client = tls.connect(server, name="blog.example")
        client.send(GET)
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            client.sock.recv(100)


class TestFaultsOfTheFiles:
    @pytest.fixture
    def files(self, certificates: Certificates, tmp_path: Path) -> dict[str, str]:
        good = certificates.make("good.example")
        other = certificates.make("other.example")
        key = load_pem_private_key(Path(good["keyfile"]).read_bytes(), None)
        encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        (tmp_path / "encrypted.key").write_bytes(encrypted)
        (tmp_path / "text.pem").write_text("no certificate\n")
        (tmp_path / "empty.pem").touch()
        return {
            "good": good["certfile"],
            "key": good["keyfile"],
            "other key": other["keyfile"],
            "directory": str(tmp_path),
            **{name: str(tmp_path / name) for name in ("encrypted.key", "text.pem", "empty.pem", "gone.pem")},
        }

    @pytest.mark.parametrize(
        ("chain", "key", "reason"),
        [
            ("good", "other key", "the key does not belong to the certificate"),
            ("good", "encrypted.key", "the key is encrypted; it must be stored without a password"),
            ("gone.pem", "key", "cannot be read: no such file or directory"),
            ("good", "gone.pem", "cannot be read: no such file or directory"),
            ("directory", "key", "cannot be read: is a directory"),
            ("text.pem", "key", "no PEM certificate with its key"),
            ("empty.pem", "", "no PEM certificate with its key"),
            ("good", "", "no PEM certificate with its key"),
            ("good", "text.pem", "no PEM certificate with its key"),
        ],
    )
    def test_each_error_is_one_line(self, files: dict[str, str], chain: str, key: str, reason: str) -> None:
        with pytest.raises(ConfigError) as caught:
            TlsContext(TlsConfig(Certificate(files[chain], files.get(key, ""))))
        assert caught.value.setting == "--certfile"
        assert str(caught.value).endswith(f": {reason}")
        assert "\n" not in str(caught.value)

    def test_the_key_may_stand_in_the_same_file(self, files: dict[str, str], tmp_path: Path) -> None:
        both = tmp_path / "both.pem"
        both.write_bytes(Path(files["key"]).read_bytes() + Path(files["good"]).read_bytes())
        assert TlsContext(TlsConfig(Certificate(str(both))))

    @pytest.mark.parametrize(
        ("settings", "line"),
        [
            ({"ca_certs": "gone.pem"}, "--ca-certs='gone.pem': cannot be read: no such file or directory"),
            ({"ca_certs": "text.pem"}, "--ca-certs='text.pem': holds no certificate"),
            ({"cert_reqs": "required"}, "--cert-reqs='required': needs --ca-certs, the authorities to trust"),
            ({"ciphers": "NOPE"}, "--ciphers='NOPE': names no cipher of TLS 1.2 that OpenSSL knows"),
            ({"sni_certificate": ["a.example=gone.pem"]}, "--sni-certificate='gone.pem': cannot be read: no such file"),
        ],
    )
    def test_settings_that_contradict_each_other_are_refused(
        self, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any, line: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError) as caught:
            ropewalk.Server(echo, bind="127.0.0.1:0", certfile=files["good"], keyfile=files["key"], **settings)
        assert str(caught.value).startswith(line)

    @pytest.mark.parametrize(
        "settings",
        [{"keyfile": "a"}, {"ca_certs": "a"}, {"cert_reqs": "required"}, {"sni_certificate": ["a.example=a"]}],
    )
    def test_tls_settings_that_fail_never_lead_to_plain_http(self, settings: Any) -> None:
        with pytest.raises(ConfigError, match="needs --certfile"):
            ropewalk.Server(echo, bind="127.0.0.1:0", **settings)

    @pytest.mark.parametrize("command", [[], ["--check-config"]])
    def test_the_command_line_ends_with_status_2(self, files: dict[str, str], tmp_path: Path, command: Any) -> None:
        (tmp_path / "shop.py").write_text("def application(environ, start_response): ...\n")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "ropewalk", "-b", "127.0.0.1:0", *command),
                *("--certfile", files["good"], "--keyfile", files["other key"], "shop"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr.startswith("ropewalk: --certfile='")
        assert done.stderr.endswith("': the key does not belong to the certificate\n")
        assert done.stderr.count("\n") == 1


class TestStopping:
    def test_what_is_in_flight_is_finished_and_idle_connections_are_closed_in_order(self, tls: TlsTalk) -> None:
        is_running, may_end = threading.Event(), threading.Event()

        def application(environ: Environ, start_response: Any) -> list[bytes]:
            if environ["PATH_INFO"] == "/wait":
                is_running.set()
                may_end.wait(PATIENCE)
            start_response("200 OK", [])
            return [b"done"]

        server = tls.serve(application)
        idle, busy = tls.connect(server), tls.connect(server)
        idle.send(KEEP)
        idle.read_response()
        busy.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert is_running.wait(PATIENCE)
        drained = []
        stopping = threading.Thread(target=lambda: drained.append(server.stop(PATIENCE)))
        stopping.start()
        try:
            assert idle.read_all() == b""
            may_end.set()
            response = busy.read_all()
            busy.sock.close()
        finally:
            may_end.set()
            stopping.join()
        assert b"\r\nConnection: close\r\n" in response
        assert response.endswith(b"done")
        assert drained[0].aborted == 0

    def test_a_handshake_that_stalls_holds_nothing_up(self, tls: TlsTalk) -> None:
        server = tls.serve(echo, request_head_timeout=1000)
        silent, half = tls.connect_plain(server), tls.connect_plain(server)
        half.send(b"\x16\x03\x01")
        done = tls.connect(server)
        done.send(GET)
        done.read_all()  # by now the others are accepted too
        done.sock.close()
        drained = server.stop(1000)  # far past the test's own time: the limit is not what ends it
        assert drained.aborted == 0
        assert read_raw(silent.sock) == b""
        assert len(read_raw(half.sock)) <= 7  # an alert, perhaps

    def test_new_files_are_used_by_the_next_server(self, tls: TlsTalk, certificates: Certificates) -> None:
        files = certificates.make("renewed.example")
        server = tls.serve(echo, **files)
        first = tls.connect(server, name="renewed.example").sock.getpeercert(True)
        assert certificates.make("renewed.example") == files
        assert tls.connect(server, name="renewed.example").sock.getpeercert(True) == first
        second = tls.connect(tls.serve(echo, **files), name="renewed.example").sock.getpeercert(True)
        assert second != first


class TestRenewal:
    def connect(self, certificates: Certificates, port: int) -> bytes:
        client = TlsClient(("127.0.0.1", port), certificates.client_context(), "renewed.example")
        with client.sock:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.read_all().endswith(b"ok")
            return client.sock.getpeercert(True) or b""

    def test_a_reload_takes_new_files_and_refuses_broken_ones(
        self, certificates: Certificates, tmp_path: Path, start: Any, wait_for: WaitFor
    ) -> None:
        (tmp_path / "shop.py").write_text(
            "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"
        )
        files = certificates.make("renewed.example")
        running = start(
            *(sys.executable, "-m", "ropewalk", "-b", "127.0.0.1:0", "shop"),
            *("--certfile", files["certfile"], "--keyfile", files["keyfile"]),
        )
        port = int(running.wait_line(r"Listening at: https://127\.0\.0\.1:(\d+)")[1])
        running.wait_line("Ready: 1 worker")
        first = self.connect(certificates, port)
        certificates.make("renewed.example")
        running.send_signal(signal.SIGHUP)
        running.wait_lines("Ready: 1 worker|Reloaded", 2)
        wait_for(lambda: self.connect(certificates, port) != first, "the new certificate")
        second = self.connect(certificates, port)
        Path(files["certfile"]).write_text("half written")
        running.send_signal(signal.SIGHUP)
        running.wait_line("no PEM certificate with its key")
        assert self.connect(certificates, port) == second


class FakeTls(socket.socket):
    """What OpenSSL does when the socket has no room for its close_notify at first."""

    is_full = True

    def unwrap(self) -> socket.socket:
        if self.is_full:
            raise ssl.SSLWantWriteError
        raise ssl.SSLWantReadError


class TestTlsSocket:
    def test_close_notify_is_said_when_there_is_room(self) -> None:
        ours, theirs = socket.socketpair()
        fake = FakeTls(fileno=ours.detach())
        with fake, theirs:
            sock = TlsSocket(fake)
            with pytest.raises(BlockingIOError):
                sock.shutdown(socket.SHUT_WR)
            fake.is_full = False
            sock.shutdown(socket.SHUT_WR)
            sock.shutdown(socket.SHUT_WR)
            assert theirs.recv(1) == b""

    def test_a_connection_waits_until_there_is(self, tls: TlsTalk, monkeypatch: pytest.MonkeyPatch) -> None:
        full = [True, True]
        original = TlsSocket.shutdown

        def shutdown(sock: TlsSocket, how: int) -> None:
            if how == socket.SHUT_WR and full and full.pop():
                raise BlockingIOError
            original(sock, how)

        monkeypatch.setattr(TlsSocket, "shutdown", shutdown)
        assert tls.ask(answering()).endswith(b"ok")
        assert not full

    @pytest.fixture
    def pair(self, certificates: Certificates, settings: dict[str, Any]) -> Iterator[tuple[TlsSocket, ssl.SSLSocket]]:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
        context = TlsContext(TlsConfig(Certificate(settings["certfile"], settings["keyfile"])))
        server = context.wrap(ours)
        client = certificates.client_context().wrap_socket(theirs, server_hostname=HOST, do_handshake_on_connect=False)
        with server, client:
            thread = threading.Thread(target=server.do_handshake)
            thread.start()
            client.do_handshake()
            thread.join()
            server.setblocking(False)
            yield TlsSocket(server), client

    def test_a_write_that_is_repeated_may_have_grown(self, pair: tuple[TlsSocket, ssl.SSLSocket]) -> None:
        server, client = pair
        parts = [memoryview(bytes([number % 251]) * 1000) for number in range(2000)]
        expected = b"".join(parts)
        taken = 1
        rest, received = expected, bytearray()
        while rest:
            try:
                views = [memoryview(rest)[:1000], memoryview(rest)[1000 : 1000 * taken]]
                rest = rest[server.sendmsg(views) :]
                taken = 1
            except BlockingIOError:
                taken += 1  # more is queued than when it was tried before
                received += client.recv(65536)
        while len(received) < len(expected):
            received += client.recv(65536)
        assert received == expected

    def test_small_parts_share_a_record(self, pair: tuple[TlsSocket, ssl.SSLSocket]) -> None:
        server, client = pair
        assert server.sendmsg([memoryview(b"a" * 10)] * 64) == 640
        assert client.recv(65536) == b"a" * 640
        assert server.sendmsg([memoryview(b"a" * 10_000)] * 2) == 16 * 1024

    def test_after_close_notify_input_is_taken_without_being_read(self, pair: tuple[TlsSocket, ssl.SSLSocket]) -> None:
        server, client = pair
        server.shutdown(socket.SHUT_WR)
        client.send(b"more")
        assert server.recv(65536) != b"more"
        with pytest.raises(BlockingIOError):
            server.recv(65536)
        assert client.recv(100) == b""


@given(st.lists(st.binary(max_size=40) | st.integers(1, 40_000).map(bytes), min_size=1, max_size=6))
def test_parts_are_sent_as_if_they_were_joined(parts: list[bytes]) -> None:
    class Records:
        """In place of the ssl module's socket: takes every record."""

        def __init__(self) -> None:
            self.sent: list[bytes] = []

        def send(self, octets: memoryview) -> int:
            self.sent.append(bytes(octets))
            return len(octets)

    as_parts, joined = Records(), Records()
    count = TlsSocket(as_parts).sendmsg([memoryview(part) for part in parts])
    assert count == TlsSocket(joined).send(b"".join(parts))
    assert as_parts.sent == joined.sent


class TestNamesOfPeople:
    @pytest.mark.parametrize(
        ("subject", "text"),
        [
            ((), ""),
            (((("countryName", "DE"),), (("commonName", "Ann"),)), "CN=Ann,C=DE"),
            (((("commonName", "a"), ("organizationalUnitName", "b")),), "CN=a+OU=b"),
            (((("commonName", 'a,b+c"d\\e<f>;g=h'),),), 'CN=a\\,b\\+c\\"d\\\\e\\<f\\>\\;g=h'),
            (((("commonName", "#a "),),), "CN=\\#a\\ "),
            (((("commonName", " "),),), "CN=\\ "),
            (((("commonName", "a\r\nX: y\0"),),), "CN=a\\0D\\0AX: y\\00"),
            (((("commonName", "Łukasz"),),), "CN=Łukasz".encode().decode("latin-1")),
            (((("emailAddress", "a@b"),),), "emailAddress=a@b"),
        ],
    )
    def test_rfc_4514(self, subject: Any, text: str) -> None:
        assert _distinguished_name(subject) == text
