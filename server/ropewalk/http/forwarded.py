"""What the proxies in front say of a request: X-Forwarded-* and Forwarded (RFC 7239).

Anybody can send these fields, and a proxy appends to what its client sent. So nothing is believed but what a trusted
proxy said itself: the list of addresses is walked from its right end, where the proxy that connected to us wrote, and
on to the left only over addresses that are trusted too; of every other field the last member counts. Which fields the
proxies write at all is the operator's to say (`ForwardedReader`): one that they do not write comes from the client.

A value that is reached and is not what its field is defined to hold is refused with 400: any guess about who the client
is, or which site it asked for, could be the one that lets it in. Pure functions, from any thread.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ropewalk.errors import ProtocolError
from ropewalk.http import grammar
from ropewalk.http.target import decode_path

FOR = "HTTP_X_FORWARDED_FOR"
PROTO = "HTTP_X_FORWARDED_PROTO"
HOST = "HTTP_X_FORWARDED_HOST"
PORT = "HTTP_X_FORWARDED_PORT"
PREFIX = "HTTP_X_FORWARDED_PREFIX"
FORWARDED = "HTTP_FORWARDED"
REAL_IP = "HTTP_X_REAL_IP"  # not read here, yet applications do: it is dropped with the others

KNOWN = {
    "x-forwarded-for": FOR,
    "x-forwarded-proto": PROTO,
    "x-forwarded-host": HOST,
    "x-forwarded-port": PORT,
    "x-forwarded-prefix": PREFIX,
    "forwarded": FORWARDED,
}
"""The fields that can be believed: as the operator writes them, and their meta-variables."""

DEFAULT_FIELDS = ("x-forwarded-for", "x-forwarded-proto")
"""What nearly every configuration of a proxy sets; X-Forwarded-Host and Forwarded often pass as a client sent them."""

SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""Traefik names the scheme of the WebSocket that a request would open; the request itself is HTTP."""

MAX_NODE = 255  # characters of one address or identifier; the longest address with a port has 47
CACHED_NODES = 1024  # addresses read once and kept: a proxy's keep-alive connection carries the same ones again

BLANKS = " \t"
_PREFIX = "HTTP_X_FORWARDED_"

_NODE_PORT = r"(?::([0-9]{1,5}|_[0-9A-Za-z._\-]++))?"
_ADDRESS = re.compile(rf"(?:([0-9.]++)|\[([0-9A-Fa-f:.]++)\]){_NODE_PORT}")
_BARE_IPV6 = re.compile(r"[0-9A-Fa-f:.]++")

# RFC 7239 sections 6.2 and 6.3; "unix:" is what nginx writes for a client on a Unix socket, nothing what others do.
_NAMELESS = re.compile(rf"(?:unknown|_[0-9A-Za-z._\-]++){_NODE_PORT}|unix:|", re.IGNORECASE)

_PORT = re.compile(r"[0-9]{1,5}")
_HOST_PORT = re.compile(r"(.*?)(?::([0-9]*))?", re.DOTALL)

# One or more segments, none empty: a prefix "//evil.example" in front of a redirect would lead to another site.
_SCRIPT_NAME = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+;=:@]|%[0-9A-Fa-f]{2})++)++")
_UNSAFE_PATH = re.compile(r"[\x00-\x1f\x7f\\]|//|/\.\.?(?:/|\Z)|/\Z")

# RFC 7239 section 4, with blanks around ";" as most writers put them. A pair may be left out, a separator may not.
_TOKEN = grammar.TOKEN.pattern
_PAIR = re.compile(
    rf'[\t ]*+(?:({_TOKEN})=(?:({_TOKEN})|"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+)"))?+[\t ]*+([;,]|\Z)'
)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Node(NamedTuple):
    """One who passed a request on, or made it. `address` is "" for one who is not named, `port` where none was told."""

    address: str
    port: str
    is_trusted: bool


class Origin(NamedTuple):
    """What trusted proxies said of a request; "" (and None for the client) where they said nothing."""

    client: Node | None = None
    scheme: str = ""
    host: str = ""
    port: str = ""
    script_name: str = ""


class TrustedNetworks:
    """The addresses of proxies: `allowed` holds addresses, networks, and `*` for "whoever connects is a proxy".

    `*` speaks of peers alone. Inside a list of addresses it would make every hop trusted and so the leftmost one, which
    the client wrote, the result; there, only the addresses and networks count. Raises ValueError for a bad entry.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._is_open = "*" in allowed
        self._networks = [_network(text) for text in allowed if text != "*"]
        self.node = functools.lru_cache(CACHED_NODES)(self._read_node)
        self._trusts_address = functools.lru_cache(CACHED_NODES)(self._parse_and_find)

    def trusts_peer(self, address: str) -> bool:
        """Whether a peer is a proxy; one without an address (""), on a Unix socket, was let in by the file's mode."""
        return self._is_open or not address or self._trusts_address(address)

    def trusts_source(self, address: str) -> bool:
        """Whether one whom a peer named is a proxy: `*` does not speak of those."""
        return self._trusts_address(address)

    def _parse_and_find(self, address: str) -> bool:
        return self._has(ipaddress.ip_address(address.partition("%")[0]))

    def _has(self, address: IPAddress) -> bool:
        address = _unmapped(address)
        return any(address in network for network in self._networks)

    def _read_node(self, text: str) -> Node:
        """Read RFC 7239 section 6's node, or an address as X-Forwarded-For has it; raises `ProtocolError` 400."""
        if _NAMELESS.fullmatch(text):
            return Node("", "", False)
        match = _ADDRESS.fullmatch(text)
        version, name, port = 6, text, ""
        if match is not None:
            version, name, port = (4, match[1], match[3]) if match[1] else (6, match[2], match[3])
        elif not _BARE_IPV6.fullmatch(text):
            raise ProtocolError(400, f"no address: {text!r}")
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            raise ProtocolError(400, f"no address: {text!r}") from None
        if address.version != version:
            raise ProtocolError(400, f"no address: {text!r}")  # IPv4 in brackets
        address = _unmapped(address)
        known_port = _checked_port(port) if port and not port.startswith("_") else ""
        return Node(str(address), known_port, self._has(address))


class ForwardedReader:
    """Reads the fields that the operator's proxies write: `names` are keys of `KNOWN`.

    `dropped` are the meta-variables of those they do not write.
    """

    def __init__(self, networks: TrustedNetworks, names: Sequence[str]) -> None:
        believed = {KNOWN[name] for name in names}
        self._networks = networks
        self._believed = believed
        self.dropped = tuple(field for field in KNOWN.values() if field not in believed)

    def read(self, fields: Mapping[str, str]) -> Origin:
        """What `fields`, received from a trusted peer, say of the request; raises `ProtocolError` 400.

        Where Forwarded is believed it speaks alone, and X-Forwarded-For, -Proto and -Host are not looked at.
        """
        believed = self._believed
        if FORWARDED in believed:
            value = fields.get(FORWARDED)
            client, scheme, host = self._read_forwarded(value) if value else (None, "", "")
        else:
            value = fields.get(FOR)
            client = self._walk(value) if value and FOR in believed else None
            scheme = _scheme(self._last(fields, PROTO))
            host = _host(self._last(fields, HOST))
        port, prefix = self._last(fields, PORT), self._last(fields, PREFIX)
        return Origin(client, scheme, host, _checked_port(port) if port else "", _script_name(prefix))

    def _last(self, fields: Mapping[str, str], name: str) -> str:
        """The last member of a list, which the nearest proxy wrote; "" if there is none, or it is not believed.

        When that one is empty the proxy said nothing, and what stands left of it is the client's.
        """
        value = fields.get(name)
        if not value or name not in self._believed:
            return ""
        return value.rpartition(",")[2].strip(BLANKS)

    def _walk(self, value: str) -> Node | None:
        """The client in a list of addresses: from the right, the first that is not trusted, else the last one."""
        client = None
        for member in reversed(value.split(",")):
            client = self._node(member.strip(BLANKS))
            if not client.is_trusted:
                break
        return client

    def _read_forwarded(self, value: str) -> tuple[Node | None, str, str]:
        """The client, and scheme and host as the outermost trusted proxy saw them."""
        client, scheme, host = None, "", ""
        for element in reversed(parse_forwarded(value)):
            scheme = _scheme(element.get("proto", "")) or scheme
            host = _host(element.get("host", "")) or host
            if "for" not in element:
                break  # who connected to this proxy is not told, so nobody vouches for the elements further left
            client = self._node(element["for"])
            if not client.is_trusted:
                break
        return client, scheme, host

    def _node(self, text: str) -> Node:
        if len(text) > MAX_NODE:
            raise ProtocolError(400, f"no address: {text[:40]!r}...")
        return self._networks.node(text)


def has_forwarded(fields: Mapping[str, str]) -> bool:
    """Whether `forwarded_names` would find any; asked for every request of an untrusted peer, hence at C speed."""
    return "FORWARDED" in "".join(fields) or REAL_IP in fields


def has_known(fields: Mapping[str, str]) -> bool:
    """Whether any field of `KNOWN` is there; asked for every request of a trusted peer: most have the first one."""
    return (
        FOR in fields or PROTO in fields or HOST in fields or FORWARDED in fields or PORT in fields or PREFIX in fields
    )


def forwarded_names(fields: Mapping[str, str]) -> list[str]:
    """The fields, known or not, that only a proxy should have written: also X-Forwarded-Ssl, -User and the like."""
    return [name for name in fields if name.startswith(_PREFIX) or name in (FORWARDED, REAL_IP)]


def parse_forwarded(value: str) -> list[dict[str, str]]:
    """The elements of Forwarded, each its parameters by lower-case name (RFC 7239 section 4).

    Read from the left and wholly, so that no quote a client left open can swallow what a proxy wrote behind it. Raises
    `ProtocolError` 400.
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
                raise ProtocolError(400, f"{name} stands twice in an element of Forwarded")
            element[name] = token if token is not None else _QUOTED_PAIR.sub(r"\1", quoted)
        if separator != ";":
            elements.append(element)
            element = {}
            if not separator:
                return elements
        position = match.end()


def split_host(host: str) -> tuple[str, str]:
    """A Host that `grammar.HOST` let through, as name (an IPv6 address in its brackets) and port, "" for none."""
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


def _script_name(text: str) -> str:
    if not text or text == "/":
        return ""
    path = decode_path(text) if _SCRIPT_NAME.fullmatch(text) else "/"
    if _UNSAFE_PATH.search(path):
        raise ProtocolError(400, f"bad forwarded prefix {text[:80]!r}")
    return path
