"""Slow peers by the thousand: each costs some memory and no thread, and everybody else is served beside them."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.helpers.certificates import HOST, Certificates
from tests.helpers.embedded import Talk
from tests.helpers.http_client import GET

COUNT = 1000
KEEP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE = 20.0
KIB = 1024
MIB = 1024 * KIB

# Threads of a worker with --threads 4: those, the one that polls when they are busy, the controller, and the main one;
# then one that writes a log, perhaps. Far from one for each connection in any case.
MAX_THREADS = 10

APPLICATION = """
CONTENT = b"x" * (4 * 1024 * 1024)  # more than the sockets take
FILE = __file__ + ".content"

def application(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Body", str(len(body)))])
    if environ["PATH_INFO"] == "/memory":
        return [CONTENT]
    if environ["PATH_INFO"] == "/file":
        return environ["wsgi.file_wrapper"](open(FILE, "rb"))
    if environ["PATH_INFO"] == "/stream":
        return (CONTENT[:65536] for _ in range(64))
    return [b"ok"]
"""


@dataclass(frozen=True)
class Kind:
    """How a peer is slow: what it sends at once, then an octet at a time, and what it reads in the same way."""

    at_once: bytes
    slowly: bytes
    max_octets: int
    """What each may cost the server: a bound for what goes wrong, several times what is measured."""
    reads: bool = False
    is_finished: bool = True
    """Whether it gets its response in the end."""
    is_kept_alive: bool = False
    """Whether it gets a response at first, and stays."""
    is_tls: bool = False
    count: int = COUNT


def reading(path: bytes, max_octets: int, count: int = COUNT) -> Kind:
    return Kind(
        b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"", max_octets, reads=True, is_finished=False, count=count
    )


KINDS = {
    "head": Kind(b"", b"GET /head HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 32 * KIB),
    "content": Kind(
        b"POST /content HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 30\r\n\r\n", b"x" * 30, 32 * KIB
    ),
    "chunks": Kind(
        b"POST /chunks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\nx\r\n" * 5 + b"0\r\n\r\n",
        32 * KIB,
    ),
    "reading a file": reading(b"/file", 32 * KIB),
    # A response that the application made in memory stays there until it is read: gigabytes for a thousand peers.
    "reading": reading(b"/memory", 4 * MIB + 64 * KIB, count=100),
    "reading a stream": reading(b"/stream", MIB + 256 * KIB, count=200),
    "handshake": Kind(
        b"", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"x" * 20, 96 * KIB, is_finished=False, is_tls=True
    ),
    "no handshake": Kind(b"", b"", 32 * KIB, is_finished=False, is_tls=True),
    "keep-alive": Kind(KEEP, b"", 32 * KIB, is_finished=False, is_kept_alive=True),
    "keep-alive over TLS": Kind(KEEP, b"", 128 * KIB, is_finished=False, is_kept_alive=True, is_tls=True, count=300),
    "nothing": Kind(b"", b"", 32 * KIB, is_finished=False),
}


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    """Room for the sockets, here and in the server, which inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * COUNT)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@dataclass(frozen=True)
class Serving:
    """A server that was started as users start it, with one worker."""

    address: tuple[str, int]
    worker: int
    tls: ssl.SSLContext | None

    def status(self, name: str) -> int:
        """A number of the worker's /proc/PID/status."""
        for line in Path(f"/proc/{self.worker}/status").read_text().splitlines():
            key, _, value = line.partition(":")
            if key == name:
                return int(value.split()[0])
        raise KeyError(name)

    def ask(self) -> bytes:
        """What a quick peer gets."""
        with contextlib.ExitStack() as stack:
            sock: socket.socket = stack.enter_context(socket.create_connection(self.address, PATIENCE))
            if self.tls is not None:
                sock = stack.enter_context(self.tls.wrap_socket(sock, server_hostname=HOST))
            sock.sendall(GET)
            return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    parts = []
    while data := sock.recv(65536):
        parts.append(data)
    return b"".join(parts)


@pytest.fixture
def serve(start: Any, tmp_path: Path) -> Callable[[bool], Serving]:
    def serve(is_tls: bool) -> Serving:
        (tmp_path / "shop.py").write_text(APPLICATION)
        (tmp_path / "shop.py.content").write_bytes(b"x" * (4 * MIB))
        context, options = None, []
        if is_tls:
            certificates = Certificates(trustme.CA(), tmp_path)
            context = certificates.client_context()
            files = certificates.make(HOST)
            options = ["--certfile", files["certfile"], "--keyfile", files["keyfile"]]
        command = [sys.executable, "-m", "ropewalk", "-b", "127.0.0.1:0", "--threads", "4", *options, "shop"]
        # Nobody is to run out of time here: that is the business of other tests.
        times = ["--request-head-timeout", "600", "--request-body-timeout", "600", "--response-timeout", "600"]
        running = start(*command, *times)
        port = int(running.wait_line(r"Listening at: https?://127\.0\.0\.1:(\d+)")[1])
        running.wait_line("Ready: 1 worker")
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        return Serving(("127.0.0.1", port), int(children[0]), context)

    return serve


@pytest.mark.parametrize("name", KINDS)
def test_a_thousand_of_a_kind(serve: Callable[[bool], Serving], name: str) -> None:
    kind = KINDS[name]
    server = serve(kind.is_tls)
    for _ in range(20):
        assert server.ask().endswith(b"ok")
    before = server.status("VmRSS")
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(slow_peer(server, kind)) for _ in range(kind.count)]
        for peer in peers:
            peer.sendall(kind.at_once)
        if kind.is_kept_alive:
            for peer in peers:
                while not peer.recv(65536).endswith(b"ok"):
                    pass
        steps = [read_octet] * 20 if kind.reads else [sender(octet) for octet in kind.slowly]
        for step in steps or [sender()]:
            for peer in peers:
                step(peer)
            assert server.ask().endswith(b"ok")
            assert server.status("Threads") <= MAX_THREADS
        grown = (server.status("VmRSS") - before) * KIB
        assert grown / kind.count <= kind.max_octets
        sys.stdout.write(f"{name}: {grown / kind.count / KIB:.1f} KiB of memory each\n")
        if kind.is_finished:
            for peer in peers:
                assert read_all(peer).endswith(b"\r\n\r\nok")
    assert server.ask().endswith(b"ok")


def slow_peer(server: Serving, kind: Kind) -> socket.socket:
    sock = socket.socket()
    try:
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if kind.reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(server.address)
        if kind.is_kept_alive and server.tls is not None:
            return server.tls.wrap_socket(sock, server_hostname=HOST)
    except BaseException:
        sock.close()
        raise
    return sock


def read_octet(sock: socket.socket) -> None:
    assert sock.recv(1)


def sender(*octets: int) -> Callable[[socket.socket], None]:
    return lambda sock: sock.sendall(bytes(octets))


def test_no_response_waits_for_another_connections_event(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that polls sees no queue: a thread that leaves something in one stays, or wakes another."""
    monkeypatch.setattr("ropewalk.threads.pool.SWEEP_INTERVAL", 1000)  # so that only an event ends a poll
    parts = [b"x" * 100_000] * 200

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return list(parts)  # joining them takes as long as it takes until another thread is called

    client = talk.connect(talk.serve(application, threads=1))
    for _ in range(30):
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read_until(b"\r\n\r\n")
        left = 20_000_000 - len(client.received)
        client.received = b""
        while left:
            left -= len(client.sock.recv(min(left, 1_000_000)))
