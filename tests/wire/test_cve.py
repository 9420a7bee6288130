"""Published vulnerabilities of other servers that concern responses, connections or load; those that concern reading a
request are in cases/cve.wire."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

import ropewalk
from tests.helpers.wire.client import PATIENCE, Conversation, Reader, converse
from tests.helpers.wire.corpus import load_corpus

GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"

RESET = struct.pack("ii", 1, 0)  # SO_LINGER, which makes close() send a reset

FACES = {
    "/status": ("200 OK\r\nX-Injected: 1", []),
    "/status-lf": ("200 OK\nX-Injected: 1", []),
    "/value": ("200 OK", [("Location", "/a\r\nX-Injected: 1")]),
    "/value-cr": ("200 OK", [("Location", "/a\rX-Injected: 1")]),
    "/value-lf": ("200 OK", [("Location", "/a\nX-Injected: 1")]),
    "/value-nul": ("200 OK", [("Location", "/a\0")]),
    "/name": ("200 OK", [("X\r\nX-Injected", "1")]),
    "/name-space": ("200 OK", [("X-Injected ", "1")]),
    "/length": ("200 OK", [("Content-Length", "+2")]),
    "/two-lengths": ("200 OK", [("Content-Length", "2"), ("Content-Length", "0")]),
    "/coding": ("200 OK", [("Transfer-Encoding", "chunked")]),
}


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    status, headers = FACES.get(environ["PATH_INFO"], ("200 OK", []))
    start_response(status, headers)
    return [b"ok"]


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with ropewalk.Server(application, bind="127.0.0.1:0", threads=2, errors=StringIO()) as server:
        yield server.address


def get(address: tuple[str, int], path: str = "/") -> Conversation:
    return converse(address, [GET % path.encode()], responses=1, stays_open=path not in FACES)


@pytest.mark.parametrize(
    ("cve", "path"),
    [
        ("CVE-2018-1000164 (gunicorn)", "/value"),
        ("CVE-2020-5247 (Puma)", "/value-cr"),
        ("CVE-2020-5247 (Puma)", "/value-lf"),
        ("CVE-2020-5249 (Puma)", "/name"),
        ("CVE-2024-24795 (uWSGI)", "/two-lengths"),
        ("CVE-2024-24795 (uWSGI)", "/coding"),
        ("CVE-2024-24795 (uWSGI)", "/length"),
        ("CVE-2023-27522 (uWSGI)", "/value-nul"),
        ("CVE-2023-27522 (uWSGI)", "/name-space"),
        ("CVE-2026-34519 (aiohttp)", "/status"),
        ("CVE-2026-34519 (aiohttp)", "/status-lf"),
    ],
)
def test_an_application_can_not_split_a_response(address: tuple[str, int], cve: str, path: str):
    conversation = get(address, path)
    assert conversation.statuses == [500]
    assert "x-injected" not in conversation.responses[0].fields
    assert conversation.surplus == b""


def test_cve_2021_29509_and_cve_2019_16770_puma_idle_connections_do_not_hold_threads(address: tuple[str, int]):
    """Far more kept-alive connections than threads, each used: a new one is served at once."""
    idle = [socket.create_connection(address, timeout=PATIENCE) for _ in range(20)]
    try:
        for sock in idle:
            sock.sendall(GET % b"/")
            response = Reader(sock).read_response()
            assert response is not None
            assert response.status_code == 200
        assert get(address).statuses == [200]
    finally:
        for sock in idle:
            sock.close()


def test_cve_2024_49769_and_cve_2022_31015_waitress_peers_that_are_gone_at_once(address: tuple[str, int]):
    """Connections reset before, within and after a request leave the server as it was."""
    for octets in (b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", GET % b"/") * 10:
        sock = socket.create_connection(address, timeout=PATIENCE)
        sock.sendall(octets)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()
    assert get(address).statuses == [200]


def test_cve_2022_23634_puma_each_iterable_is_closed():
    """A leaked iterable kept one request's data for the next: close() is called, whatever the peer does."""
    closed = threading.Semaphore(0)

    class Response:
        def __iter__(self) -> Iterator[bytes]:
            yield from [b"x" * 1000] * 100

        def close(self) -> None:
            closed.release()

    def application(environ: dict[str, Any], start_response: Any) -> Response:
        start_response("200 OK", [])
        return Response()

    with ropewalk.Server(application, bind="127.0.0.1:0") as server:
        assert converse(server.address, [GET % b"/"], responses=1, stays_open=True).statuses == [200]
        assert closed.acquire(timeout=PATIENCE)
        sock = socket.create_connection(server.address, timeout=PATIENCE)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.sendall(GET % b"/")
        sock.close()
        assert closed.acquire(timeout=PATIENCE)


def test_each_product_that_published_faults_has_its_cases():
    names = [case.name for case in load_corpus() if case.topic == "cve"]
    for product in ("(gunicorn)", "(waitress)", "cheroot", "(werkzeug)", "(Puma)", "(aiohttp", "(h11)", "(llhttp)"):
        assert any(product in name for name in names)
