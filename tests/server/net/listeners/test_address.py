"""Which addresses `--bind` accepts, and its one-line errors for the others."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.net.listeners.address import (
    MAX_UNIX_PATH_BYTES,
    Address,
    InheritedAddress,
    TcpAddress,
    UnixAddress,
    parse_address,
)

ACCEPTED = [
    ("127.0.0.1:8000", TcpAddress("127.0.0.1", 8000)),
    ("tcp://127.0.0.1:8000", TcpAddress("127.0.0.1", 8000)),
    ("localhost:0", TcpAddress("localhost", 0)),
    ("my_app.internal-1.example:65535", TcpAddress("my_app.internal-1.example", 65535)),
    ("localhost", TcpAddress("localhost", 8000)),
    ("0.0.0.0", TcpAddress("0.0.0.0", 8000)),
    (":8080", TcpAddress("", 8080)),
    ("8080", TcpAddress("127.0.0.1", 8080)),
    ("[::1]:8000", TcpAddress("::1", 8000)),
    ("[::]:80", TcpAddress("::", 80)),
    ("[fe80::1%eth0]:80", TcpAddress("fe80::1%eth0", 80)),
    ("[::1]", TcpAddress("::1", 8000)),
    ("unix:/run/app.sock", UnixAddress("/run/app.sock")),
    ("unix:///run/app.sock", UnixAddress("/run/app.sock")),
    ("unix:app.sock", UnixAddress("app.sock")),
    ("unix:/run/a:b.sock", UnixAddress("/run/a:b.sock")),
    ("fd://3", InheritedAddress(3)),
    ("fd://0", InheritedAddress(0)),
]

REFUSED = [
    ("", "HOST:PORT"),
    (" ", "HOST:PORT"),
    ("127.0.0.1:", "the port must be"),
    (":", "the port must be"),
    ("127.0.0.1:65536", "from 0 to 65535"),
    ("127.0.0.1:-1", "the port must be"),
    ("127.0.0.1:+1", "the port must be"),
    ("127.0.0.1:8_0", "the port must be"),
    ("127.0.0.1:\uff18\uff10", "the port must be"),
    ("127.0.0.1:http", "the port must be"),
    ("127.0.0.1: 80", "the port must be"),
    ("99999", "the port must be"),
    ("127.0.0.256:80", "four numbers"),
    ("127.1:80", "four numbers"),
    ("http://localhost:8000", "an address, not a URL: write localhost:8000"),
    ("https://[::1]:8443/", "write [::1]:8443; for TLS add --certfile"),
    ("HTTP://localhost/shop", "write localhost:80"),
    ("http://", "write HOST:PORT"),
    ("http://:x@y:1", "write HOST:PORT"),
    ("//localhost:80", "not a host name"),
    ("local host:80", "not a host name"),
    ("-x:80", "not a host name"),
    ("hé.example:80", "not a host name"),
    ("::1", "in brackets"),
    ("2001:db8::1:8000", "in brackets"),
    ("[::1", "[::1]:8000"),
    ("[::1]8000", "[::1]:8000"),
    ("[::1]:", "the port must be"),
    ("[127.0.0.1]:80", "not an IPv6 address"),
    ("[]:80", "not an IPv6 address"),
    ("unix:", "path of the socket"),
    ("unix://", "path of the socket"),
    ("unix:/run/", "slash"),
    ("unix:/run/a\0b", "path of the socket"),
    ("fd://", "open file descriptor"),
    ("fd://x", "open file descriptor"),
    ("fd://-1", "open file descriptor"),
    ("fd://99999999999", "open file descriptor"),
]


@pytest.mark.parametrize(("text", "expected"), ACCEPTED, ids=[text for text, _ in ACCEPTED])
def test_address_is_read(text: str, expected: Address) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(("text", "reason"), REFUSED, ids=[ascii(text) for text, _ in REFUSED])
def test_bad_address_is_refused_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as refusal:
        parse_address(text)
    assert len(str(refusal.value).splitlines()) == 1


def test_unix_path_is_accepted_up_to_the_size_of_sun_path() -> None:
    longest = "é" * ((MAX_UNIX_PATH_BYTES - 1) // 2) + "x"
    assert parse_address(f"unix:{longest}") == UnixAddress(longest)
    with pytest.raises(ValueError, match="at most 107 bytes"):
        parse_address(f"unix:{longest}x")


@pytest.mark.parametrize("address", [address for _, address in ACCEPTED], ids=str)
def test_the_text_of_an_address_reads_back_as_the_same_address(address: Address) -> None:
    assert parse_address(str(address)) == address


@given(st.text() | st.from_regex(r"(unix:|fd://|tcp://|\[)?.*:[0-9]+"))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        return
    assert parse_address(str(address)) == address
