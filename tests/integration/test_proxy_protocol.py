"""The PROXY protocol on real connections: what an application then sees."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers.embedded import Talk
from tests.helpers.http_client import GET

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11"
    + struct.pack("!H", 12)
    + socket.inet_aton("192.0.2.7")
    + socket.inet_aton("198.51.100.1")
    + struct.pack("!HH", 4711, 443)
)


def show(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [json.dumps({key: value for key, value in environ.items() if isinstance(value, str)}).encode()]


def content_of(response: bytes) -> dict[str, str]:
    found: dict[str, str] = json.loads(response.partition(b"\r\n\r\n")[2])
    return found


@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_client_address_is_that_of_the_header(talk: Talk, header: bytes, piece: int) -> None:
    client = talk.connect(talk.serve(show, proxy_protocol="auto"))
    octets = header + GET
    for start in range(0, len(octets), piece):
        client.send(octets[start : start + piece])
    seen = content_of(client.read_all())
    assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == ("192.0.2.7", "4711")
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("198.51.100.1", "443")


def test_client_address_holds_for_every_request_of_the_connection(talk: Talk) -> None:
    client = talk.connect(talk.serve(show, proxy_protocol="v1"))
    client.send(V1 + GET.replace(b"Connection: close\r\n", b"") * 2)
    for _ in range(2):
        assert json.loads(client.read_response()[1])["REMOTE_ADDR"] == "192.0.2.7"


@pytest.mark.parametrize("octets", [GET, b"PROXY TCP4 nonsense\r\n" + GET, V2[:12] + b"\xff" * 4 + GET, V1[:20]])
def test_without_a_good_header_the_connection_is_closed(talk: Talk, octets: bytes) -> None:
    client = talk.connect(talk.serve(show, proxy_protocol="auto"))
    client.send(octets)
    with contextlib.suppress(OSError):  # it may be closed already
        client.sock.shutdown(socket.SHUT_WR)
    assert client.read_all() in (b"", b"RESET")


def test_from_anybody_else_the_connection_is_closed(talk: Talk) -> None:
    client = talk.connect(talk.serve(show, proxy_protocol="auto", proxy_allow_from="192.0.2.1"))
    assert client.read_all() in (b"", b"RESET")


def test_switched_off_the_header_is_a_bad_request(talk: Talk) -> None:
    assert talk.ask(show, V1 + GET).startswith(b"HTTP/1.1 400 ")


def test_missing_proxy_header_is_not_waited_for_forever(talk: Talk) -> None:
    client = talk.connect(talk.serve(show, proxy_protocol="auto", request_head_timeout=1))
    assert client.read_all() in (b"", b"RESET")


def test_a_second_header_is_a_bad_request(talk: Talk) -> None:
    assert b"HTTP/1.1 400 " in talk.ask(show, V1 + V1 + GET, proxy_protocol="v1")
