"""The addresses that `--bind` accepts, parsed into values.

Pure: no socket is made and no name is resolved here (`listeners.open` does both). The forms are gunicorn's.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Final, NamedTuple

__all__ = ["Address", "InheritedAddress", "TcpAddress", "UnixAddress", "parse_address"]

DEFAULT_PORT: Final = 8000
"""gunicorn's, for a host without a port."""

LOOPBACK: Final = "127.0.0.1"

MAX_PORT: Final = 65535

MAX_UNIX_PATH_BYTES: Final = 107
"""unix(7): `sun_path` has 108 bytes, the last of which is a NUL."""

FORMS: Final = "HOST:PORT, :PORT, [IPV6]:PORT, unix:PATH or fd://N"

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})")
_LOOKS_LIKE_IPV4 = re.compile(r"[0-9.]+")
_DIGITS = re.compile(r"[0-9]{1,10}")


class TcpAddress(NamedTuple):
    """A host (a name, an address without brackets, or "" for every interface) and a port (0: any)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixAddress(NamedTuple):
    """The path of a Unix socket, as given."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


class InheritedAddress(NamedTuple):
    """A listening socket that the parent process passed as this file descriptor."""

    fd: int

    def __str__(self) -> str:
        return f"fd://{self.fd}"


Address = TcpAddress | UnixAddress | InheritedAddress


def parse_address(text: str) -> Address:
    """Parse one value of `--bind`.

    `HOST:PORT`, `HOST` (port 8000), `:PORT` (every interface), `PORT` (loopback only), `[IPV6]:PORT`,
    `unix:PATH`, `fd://N`; the TCP forms may begin with `tcp://`, and `unix://` is `unix:`.

    Raises ValueError with one line that says what is wrong and what is allowed.
    """
    if text.startswith("unix:"):
        return _parse_unix(text.removeprefix("unix:").removeprefix("//"))
    if text.startswith("fd://"):
        return _parse_inherited(text.removeprefix("fd://"))
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() in ("http", "https"):
        raise ValueError(_without_scheme(scheme.lower(), rest))
    return _parse_tcp(text.removeprefix("tcp://"))


def _without_scheme(scheme: str, rest: str) -> str:
    """What to write in place of a URL."""
    address = rest.partition("/")[0]
    if address and not re.search(r":[0-9]+\Z", address):
        address += ":443" if scheme == "https" else ":80"
    try:
        _parse_tcp(address)
    except ValueError:
        address = FORMS
    tls = "; for TLS add --certfile" if scheme == "https" else ""
    return f"an address, not a URL: write {address}{tls}"


def _parse_unix(path: str) -> UnixAddress:
    if not path or "\0" in path:
        raise ValueError("expected the path of the socket after unix:")
    if path.endswith("/"):
        raise ValueError("the path of a Unix socket must not end in a slash")
    if len(os.fsencode(path)) > MAX_UNIX_PATH_BYTES:
        raise ValueError(f"the path of a Unix socket must be at most {MAX_UNIX_PATH_BYTES} bytes long")
    return UnixAddress(path)


def _parse_inherited(number: str) -> InheritedAddress:
    if not _DIGITS.fullmatch(number) or int(number) > 2**31 - 1:
        raise ValueError("expected the number of an open file descriptor after fd://")
    return InheritedAddress(int(number))


def _parse_tcp(text: str) -> TcpAddress:
    if _DIGITS.fullmatch(text):
        return TcpAddress(LOOPBACK, _parse_port(text))
    if text.startswith("["):
        return _parse_bracketed(text)
    host, colon, port = text.partition(":")
    if ":" in port:
        raise ValueError("an IPv6 address must be in brackets: [::1]:8000")
    if not host and not colon:
        raise ValueError(f"expected {FORMS}")
    if host:
        _check_host(host)
    return TcpAddress(host, _parse_port(port) if colon else DEFAULT_PORT)


def _parse_bracketed(text: str) -> TcpAddress:
    host, bracket, rest = text[1:].partition("]")
    if not bracket or (rest and not rest.startswith(":")):
        raise ValueError("an IPv6 address must have the form [::1]:8000")
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise ValueError("not an IPv6 address in the brackets") from None
    return TcpAddress(host, _parse_port(rest[1:]) if rest else DEFAULT_PORT)


def _parse_port(text: str) -> int:
    if not _DIGITS.fullmatch(text) or int(text) > MAX_PORT:
        raise ValueError(f"the port must be an integer from 0 to {MAX_PORT}")
    return int(text)


def _check_host(host: str) -> None:
    if not _NAME.fullmatch(host):
        raise ValueError(f"not a host name or an address; expected {FORMS}")
    if _LOOKS_LIKE_IPV4.fullmatch(host):
        # inet_aton's short forms (127.1, 0177.0.0.1) are refused: mostly they are typing errors.
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError("not an IPv4 address: four numbers from 0 to 255") from None
