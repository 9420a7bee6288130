"""What proxies report about a request: X-Forwarded-* and Forwarded (RFC 7239).

Anybody can send these fields, and a proxy appends to what its client sent. So only what a trusted proxy added itself is
used: the list of addresses is read from its right end, where the proxy that connected to us wrote, and further to the
left only across addresses that are trusted too; of every other field the last member counts. The operator says which
fields the proxies write (`ForwardedReader`): any other comes from the client.

A value that is read and is not valid for its field is refused with 400: a guess at who the client is, or which site it
asked for, could grant it access. Pure functions, from any thread.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ropewalk.errors import ProtocolError
from ropewalk.http import grammar
from ropewalk.http.target import decode_path

FOR: Final = "HTTP_X_FORWARDED_FOR"
PROTO: Final = "HTTP_X_FORWARDED_PROTO"
HOST: Final = "HTTP_X_FORWARDED_HOST"
PORT: Final = "HTTP_X_FORWARDED_PORT"
PREFIX: Final = "HTTP_X_FORWARDED_PREFIX"
FORWARDED: Final = "HTTP_FORWARDED"
REAL_IP: Final = "HTTP_X_REAL_IP"  # not read here; dropped like the others, because applications read it

KNOWN = {
    "x-forwarded-for": FOR,
    "x-forwarded-proto": PROTO,
    "x-forwarded-host": HOST,
    "x-forwarded-port": PORT,
    "x-forwarded-prefix": PREFIX,
    "forwarded": FORWARDED,
}
"""The fields that can be trusted: their names in the settings, and their meta-variables."""

DEFAULT_FIELDS = ("x-forwarded-for", "x-forwarded-proto")
"""Nearly every proxy sets these; X-Forwarded-Host and Forwarded are often passed on as the client sent them."""

SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""Traefik sends the scheme of the WebSocket that a request would open; the request itself is HTTP."""

MAX_NODE = 255  # characters of one address or identifier; the longest address with a port has 47
CACHED_NODES = 1024  # parsed addresses that are kept: a proxy's connection carries the same ones again

BLANKS = " \t"
_PREFIX = "HTTP_X_FORWARDED_"

_NODE_PORT = r"(?::([0-9]{1,5}|_[0-9A-Za-z._\-]++))?"
_ADDRESS = re.compile(rf"(?:([0-9.]++)|\[([0-9A-Fa-f:.]++)\]){_NODE_PORT}")
_BARE_IPV6 = re.compile(r"[0-9A-Fa-f:.]++")

# RFC 7239 sections 6.2 and 6.3; for a client on a Unix socket nginx writes "unix:", and others nothing.
_NAMELESS = re.compile(rf"(?:unknown|_[0-9A-Za-z._\-]++){_NODE_PORT}|unix:|", re.IGNORECASE)

_PORT = re.compile(r"[0-9]{1,5}")
_HOST_PORT = re.compile(r"(.*?)(?::([0-9]*))?", re.DOTALL)

# One or more segments, none empty: a redirect to a prefix "//evil.example" would lead to another site.
_SCRIPT_NAME = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+;=:@]|%[0-9A-Fa-f]{2})++)++")
_UNSAFE_PATH = re.compile(r"[\x00-\x1f\x7f\\]|//|/\.\.?(?:/|\Z)|/\Z")

# RFC 7239 section 4, with blanks around ";", which most proxies send. A pair may be missing, a separator may not.
_TOKEN = grammar.TOKEN.pattern
_PAIR = re.compile(
    rf'[\t ]*+(?:({_TOKEN})=(?:({_TOKEN})|"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+)"))?+[\t ]*+([;,]|\Z)'
)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Node(NamedTuple):
    """A client or proxy. `address` is "" for one that is not identified, `port` where none was given."""

    address: str
    port: str
    is_trusted: bool


class Origin(NamedTuple):
    """What trusted proxies reported about a request; "" (and None for the client) where they reported nothing."""

    client: Node | None = None
    scheme: str = ""
    host: str = ""
    port: str = ""
    script_name: str = ""


class TrustedNetworks:
    """The addresses of proxies: `allowed` holds addresses, networks, and `*`, which means that every peer is a proxy.

    `*` is about peers only. In a list of addresses it would make every hop trusted, and so the leftmost one, which the
    client wrote, would be the result; there, only the addresses and networks count. Raises ValueError for a bad entry.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._trusts_every_peer = "*" in allowed
        self._networks = [_network(text) for text in allowed if text != "*"]
        self.node = functools.lru_cache(CACHED_NODES)(self._read_node)
        self._trusts_address = functools.lru_cache(CACHED_NODES)(self._parse_and_find)

    def trusts_peer(self, address: str) -> bool:
        """Whether a peer is a proxy; one on a Unix socket, without an address (""), is, by the mode of the file."""
        return self._trusts_every_peer or not address or self._trusts_address(address)

    def trusts_source(self, address: str) -> bool:
        """Whether an address that a peer reported is a proxy's: `*` does not apply to it."""
        return self._trusts_address(address)

    def _parse_and_find(self, address: str) -> bool:
        return self._has(ipaddress.ip_address(address.partition("%")[0]))

    def _has(self, address: IPAddress) -> bool:
        address = _unmapped(address)
        return any(address in network for network in self._networks)

    def _read_node(self, text: str) -> Node:
        """Parse a node of RFC 7239 section 6, or an address as in X-Forwarded-For; raises `ProtocolError` 400."""
        if _NAMELESS.fullmatch(text):
            return Node("", "", False)
        match = _ADDRESS.fullmatch(text)
        version, name, port = 6, text, ""
        if match is not None:
            version, name, port = (4, match[1], match[3] or "") if match[1] else (6, match[2], match[3] or "")
        elif not _BARE_IPV6.fullmatch(text):
            raise ProtocolError(400, f"bad forwarded address {text!r}")
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            raise ProtocolError(400, f"bad forwarded address {text!r}") from None
        if address.version != version:
            raise ProtocolError(400, f"bad forwarded address {text!r}")  # IPv4 in brackets
        address = _unmapped(address)
        known_port = _checked_port(port) if port and not port.startswith("_") else ""
        return Node(str(address), known_port, self._has(address))


class ForwardedReader:
    """Reads the fields that the operator's proxies write: `names` are keys of `KNOWN`.

    `dropped` holds the meta-variables of the other fields of `KNOWN`.
    """

    def __init__(self, networks: TrustedNetworks, names: Sequence[str]) -> None:
        trusted = {KNOWN[name] for name in names}
        self._networks = networks
        self._trusted = trusted
        self.dropped = tuple(field for field in KNOWN.values() if field not in trusted)
        self._trusts_usual = trusted == {FOR, PROTO}
        self._cached_usual = functools.lru_cache(CACHED_NODES)(self._read_usual)

    def read(self, fields: Mapping[str, str]) -> Origin:
        """What `fields`, received from a trusted peer, report about the request; raises `ProtocolError` 400.

        Where Forwarded is trusted, X-Forwarded-For, -Proto and -Host are not read.
        """
        trusted = self._trusted
        if self._trusts_usual:  # fast path of the rest; test_usual_fields_are_read_as_all_would_be holds them equal
            addresses, schemes = fields.get(FOR, ""), fields.get(PROTO, "")
            is_short = len(addresses) <= MAX_NODE and len(schemes) <= MAX_NODE
            return self._cached_usual(addresses, schemes) if is_short else self._read_usual(addresses, schemes)
        if FORWARDED in trusted:
            value = fields.get(FORWARDED)
            client, scheme, host = self._read_forwarded(value) if value else (None, "", "")
        else:
            value = fields.get(FOR)
            client = self._walk(value) if value and FOR in trusted else None
            scheme = _scheme(self._last(fields, PROTO))
            host = _host(self._last(fields, HOST))
        port, prefix = self._last(fields, PORT), self._last(fields, PREFIX)
        return Origin(client, scheme, host, _checked_port(port) if port else "", read_prefix(prefix))

    def _read_usual(self, addresses: str, schemes: str) -> Origin:
        return Origin(self._walk(addresses) if addresses else None, _scheme(last_member(schemes)))

    def _last(self, fields: Mapping[str, str], name: str) -> str:
        """The last member of a list, which the nearest proxy wrote; "" if there is none, or it is not trusted.

        When it is empty the proxy reported nothing, and anything to its left is the client's.
        """
        value = fields.get(name)
        if not value or name not in self._trusted:
            return ""
        return last_member(value)

    def _walk(self, value: str) -> Node | None:
        """The client in a list of addresses: from the right, the first that is not trusted, else the leftmost."""
        if "," not in value:
            return self._node(value.strip(BLANKS))
        client = None
        for member in reversed(value.split(",")):
            client = self._node(member.strip(BLANKS))
            if not client.is_trusted:
                break
        return client

    def _read_forwarded(self, value: str) -> tuple[Node | None, str, str]:
        """The client, and the scheme and host that the outermost trusted proxy received."""
        client, scheme, host = None, "", ""
        for element in reversed(parse_forwarded(value)):
            scheme = _scheme(element.get("proto", "")) or scheme
            host = _host(element.get("host", "")) or host
            if "for" not in element:
                break  # this proxy does not report who connected to it, so nothing vouches for the elements to its left
            client = self._node(element["for"])
            if not client.is_trusted:
                break
        return client, scheme, host

    def _node(self, text: str) -> Node:
        if len(text) > MAX_NODE:
            raise ProtocolError(400, f"bad forwarded address {text[:40]!r}...")
        return self._networks.node(text)


def has_forwarded(fields: Mapping[str, str]) -> bool:
    """Whether `forwarded_names` may find any. Called for every request of an untrusted peer."""
    # fast path of `forwarded_names`; test_fields_of_proxies_are_never_missed holds them equal
    return "FORWARDED" in "".join(fields) or REAL_IP in fields


def has_known(fields: Mapping[str, str]) -> bool:
    """Whether `ForwardedReader.read` may find anything. Called for every request of a trusted peer."""
    # fast path of `ForwardedReader.read`; test_fields_of_proxies_are_never_missed holds them equal
    return (
        FOR in fields or PROTO in fields or HOST in fields or FORWARDED in fields or PORT in fields or PREFIX in fields
    )


def forwarded_names(fields: Mapping[str, str]) -> list[str]:
    """The fields that only a proxy should have written, including X-Forwarded-Ssl, -User and others not in `KNOWN`."""
    return [name for name in fields if name.startswith(_PREFIX) or name in (FORWARDED, REAL_IP)]


def parse_forwarded(value: str) -> list[dict[str, str]]:
    """The elements of Forwarded, each as its parameters by lower-case name (RFC 7239 section 4).

    Parsed completely and from the left, so that a quote that a client left open cannot hide what a proxy appended.
    Raises `ProtocolError` 400.
    """
    elements: list[dict[str, str]] = []
    element: dict[str, str] = {}
    position = 0
    while True:
        match = _PAIR.match(value, position)
        if match is None:
            raise ProtocolError(400, f"bad Forwarded {value[position : position + 40]!r}")
        name, token, quoted, separator = match.groups()
        if name is not None:
            name = name.lower()
            if name in element:
                raise ProtocolError(400, f"repeated {name} in an element of Forwarded")
            element[name] = token if token is not None else _QUOTED_PAIR.sub(r"\1", quoted)
        if separator != ";":
            elements.append(element)
            element = {}
            if not separator:
                return elements
        position = match.end()


def last_member(value: str) -> str:
    """The last member of a list, which the nearest proxy wrote."""
    return value.rpartition(",")[2].strip(BLANKS)


def split_host(host: str) -> tuple[str, str]:
    """Split a Host that matches `grammar.HOST` into name (an IPv6 address in its brackets) and port, "" for none."""
    match = _HOST_PORT.fullmatch(host)
    assert match is not None
    return match[1], match[2] or ""


def _network(text: str) -> IPNetwork:
    network = ipaddress.ip_network(text, strict=False)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - 96))


def _unmapped(address: IPAddress) -> IPAddress:
    """An IPv4-mapped address as the IPv4 address that it is (RFC 4291 section 2.5.5.2)."""
    return getattr(address, "ipv4_mapped", None) or address


def _scheme(text: str) -> str:
    if not text:
        return ""
    scheme = SCHEMES.get(text.lower())
    if scheme is None:
        raise ProtocolError(400, f"forwarded scheme {text[:40]!r}")
    return scheme


def _host(text: str) -> str:
    if text and not grammar.HOST.fullmatch(text):
        raise ProtocolError(400, f"bad forwarded host {text[:80]!r}")
    return text


def _checked_port(text: str) -> str:
    if not _PORT.fullmatch(text) or not 0 < int(text) < 65536:
        raise ProtocolError(400, f"bad forwarded port {text[:40]!r}")
    return str(int(text))


def read_prefix(text: str) -> str:
    """The decoded path that a proxy sent as the SCRIPT_NAME, "" for none or "/". Raises `ProtocolError` 400."""
    if not text or text == "/":
        return ""
    path = decode_path(text) if _SCRIPT_NAME.fullmatch(text) else "/"
    if _UNSAFE_PATH.search(path):
        raise ProtocolError(400, f"bad forwarded prefix {text[:80]!r}")
    return path
