"""The PROXY protocol, versions 1 and 2: a header before everything else that a connection carries.

HAProxy's specification ("The PROXY protocol, versions 1 & 2", proxy-protocol.txt, 2020/03/05); section numbers below
refer to it. A proxy that forwards octets, and cannot add fields to requests, sends it to say who connected. The header
comes once, before the first request (or the TLS handshake), and is trusted only from a trusted proxy, which the caller
has to check before.

A pure function of what was received so far. Anything that is not a header is refused, and never read as a request
instead (section 2: the receiver must not guess whether the header is there).
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from ropewalk.errors import ProtocolError

V1_SIGNATURE = b"PROXY "
V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # section 2.2
MAX_V1_OCTETS = 107  # section 2.1: the longest line, with its CRLF
V2_FIXED_OCTETS = 16  # signature, version and command, family and protocol, length

# Section 2.2 allows a length of 16 bits, and requires at least 536 octets to be accepted. Addresses take up to 216,
# the TLVs of HAProxy and cloud providers a few hundred; a client certificate's names are the longest.
MAX_V2_OCTETS = 4096

MODES = ("off", "auto", "v1", "v2")

_V1_TCP = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f:.]{2,39}) ([0-9A-Fa-f:.]{2,39}) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n"
)
_V1_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [ -~]*+)?\r\n")
_V1_START = re.compile(rb"PROXY [ -~]*+\r?")

_LOCAL, _PROXY = 0x0, 0x1  # commands
_UNSPEC, _INET, _INET6, _UNIX = 0x0, 0x1, 0x2, 0x3  # address families
_ADDRESS_OCTETS = {_UNSPEC: 0, _INET: 12, _INET6: 36, _UNIX: 216}
_MAX_TRANSPORT = 0x2  # UNSPEC, STREAM, DGRAM

# Section 2.2.
_TLV_CRC32C = 0x03
_TLV_SSL = 0x20
_CLIENT_SSL = 0x01  # a bit of the SSL TLV's first octet: the client came over TLS
_SSL_FIXED_OCTETS = 5  # the client's bits, and the result of the verification


class Endpoint(NamedTuple):
    """An address, as text in its shortest form, and a port."""

    host: str
    port: int


class ProxyHeader(NamedTuple):
    """The content of a PROXY header, and its length in octets.

    `source` and `destination` are the client's connection to the proxy. Both are None where the addresses of this
    connection are the right ones: the proxy connects for itself (LOCAL, as for health checks: `is_local`), or does not
    know who connected, or the client connected over a Unix socket. `is_tls` is True when the client connected to the
    proxy over TLS (version 2 only).
    """

    octets: int
    source: Endpoint | None = None
    destination: Endpoint | None = None
    is_local: bool = False
    is_tls: bool = False


def parse_proxy_header(buffer: bytes | bytearray, mode: str = "auto") -> ProxyHeader | None:
    """Parse the header at the start of `buffer`, which is everything received; None while the header is incomplete.

    The octets after it start at `octets`. `mode` is "v1", "v2", or "auto" for both. Raises `ProtocolError` 400 as soon
    as `buffer` cannot begin with a header.
    """
    if mode != "v2" and _begins(buffer, V1_SIGNATURE):
        return _parse_v1(buffer)
    if mode != "v1" and _begins(buffer, V2_SIGNATURE):
        return _parse_v2(buffer)
    raise ProtocolError(400, f"no PROXY header in {bytes(buffer[:40])!r}")


def _begins(buffer: bytes | bytearray, signature: bytes) -> bool:
    return signature.startswith(buffer[: len(signature)])


# Version 1 (section 2.1)


def _parse_v1(buffer: bytes | bytearray) -> ProxyHeader | None:
    end = buffer.find(b"\n", 0, MAX_V1_OCTETS)
    if end < 0:
        start = bytes(buffer[:MAX_V1_OCTETS])
        is_possible = V1_SIGNATURE.startswith(start) or _V1_START.fullmatch(start)
        if len(start) == MAX_V1_OCTETS or not is_possible:
            raise ProtocolError(400, f"bad PROXY line {start!r}")
        return None
    line = bytes(buffer[: end + 1])
    match = _V1_TCP.fullmatch(line)
    if match is None:
        if _V1_UNKNOWN.fullmatch(line):
            return ProxyHeader(len(line))
        raise ProtocolError(400, f"bad PROXY line {line!r}")
    version = int(match[1])
    return ProxyHeader(len(line), _v1_endpoint(version, match[2], match[4]), _v1_endpoint(version, match[3], match[5]))


def _v1_endpoint(version: int, host: bytes, port: bytes) -> Endpoint:
    try:
        address = ipaddress.ip_address(host.decode("ascii"))
    except ValueError:
        raise ProtocolError(400, f"bad address {host!r} in a PROXY line") from None
    if address.version != version or int(port) > 65535:
        raise ProtocolError(400, f"bad address {host!r}, port {port!r} in a PROXY line")
    return Endpoint(_text_of(address), int(port))


# Version 2 (section 2.2)


def _parse_v2(buffer: bytes | bytearray) -> ProxyHeader | None:
    if len(buffer) > 12:
        _check_v2_command(buffer[12])
    if len(buffer) > 13:
        _check_v2_family(buffer[13])
    if len(buffer) < V2_FIXED_OCTETS:
        return None
    octets = V2_FIXED_OCTETS + int.from_bytes(buffer[14:16], "big")
    is_local = buffer[12] & 0xF == _LOCAL
    family = _UNSPEC if is_local else buffer[13] >> 4
    if octets > MAX_V2_OCTETS:
        raise ProtocolError(400, f"PROXY header of {octets} octets")
    tlvs_at = V2_FIXED_OCTETS + _ADDRESS_OCTETS[family]
    if tlvs_at > octets:
        raise ProtocolError(400, f"PROXY header of {octets} octets without room for its addresses")
    if len(buffer) < octets:
        return None
    header = bytes(buffer[:octets])
    if is_local or family == _UNSPEC:
        # Addresses are to be skipped, if there are any; only their family would say how long they are. So the TLVs are
        # skipped as well.
        return ProxyHeader(octets, is_local=is_local)
    is_tls = _read_tlvs(header, tlvs_at)
    if family == _UNIX:
        return ProxyHeader(octets, is_tls=is_tls)
    source, destination = _v2_endpoints(header[V2_FIXED_OCTETS:tlvs_at])
    return ProxyHeader(octets, source, destination, is_tls=is_tls)


def _check_v2_command(octet: int) -> None:
    if octet >> 4 != 2 or octet & 0xF not in (_LOCAL, _PROXY):
        raise ProtocolError(400, f"bad version and command {octet:#04x} in a PROXY header")


def _check_v2_family(octet: int) -> None:
    if octet >> 4 not in _ADDRESS_OCTETS or octet & 0xF > _MAX_TRANSPORT:
        raise ProtocolError(400, f"bad address family {octet:#04x} in a PROXY header")


def _v2_endpoints(addresses: bytes) -> tuple[Endpoint, Endpoint]:
    """Both addresses, then both ports, in network byte order."""
    size = (len(addresses) - 4) // 2
    source_port, destination_port = addresses[-4:-2], addresses[-2:]
    return (
        Endpoint(_text_of(_address_of(addresses[:size])), int.from_bytes(source_port, "big")),
        Endpoint(_text_of(_address_of(addresses[size:-4])), int.from_bytes(destination_port, "big")),
    )


def _address_of(octets: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.IPv4Address(octets) if len(octets) == 4 else ipaddress.IPv6Address(octets)


def _text_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An IPv4-mapped address as the IPv4 address that it is."""
    return str(getattr(address, "ipv4_mapped", None) or address)


def _read_tlvs(header: bytes, position: int) -> bool:
    """Parse all TLVs and verify the checksum, if there is one; return whether the client connected over TLS."""
    is_tls = False
    while position < len(header):
        end = position + 3 + int.from_bytes(header[position + 1 : position + 3], "big")
        if position + 3 > len(header) or end > len(header):
            raise ProtocolError(400, "a TLV of the PROXY header is longer than the header")
        kind, value = header[position], header[position + 3 : end]
        if kind == _TLV_CRC32C:
            _check_crc32c(header, position + 3, value)
        elif kind == _TLV_SSL:
            if len(value) < _SSL_FIXED_OCTETS:
                raise ProtocolError(400, "the PROXY header's SSL TLV is too short")
            is_tls = bool(value[0] & _CLIENT_SSL)
        position = end
    return is_tls


def _check_crc32c(header: bytes, position: int, value: bytes) -> None:
    """Section 2.2.3: over the whole header, with zeros in place of the checksum."""
    if len(value) != 4:
        raise ProtocolError(400, "the PROXY header's checksum has no 32 bits")
    zeroed = header[:position] + bytes(4) + header[position + 4 :]
    if crc32c(zeroed) != int.from_bytes(value, "big"):
        raise ProtocolError(400, "the PROXY header's checksum is wrong")


def crc32c(octets: bytes) -> int:
    """CRC-32C (RFC 9260 appendix A), bit by bit: at most once a connection, over a few hundred octets."""
    crc = 0xFFFFFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
