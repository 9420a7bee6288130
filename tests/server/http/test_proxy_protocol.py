"""The PROXY protocol's header: as it comes in pieces, and as nobody should send it."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.config import readers
from ropewalk.errors import ProtocolError
from ropewalk.http.proxy_protocol import (
    MAX_V1_OCTETS,
    MAX_V2_OCTETS,
    MODES,
    V2_FIXED_OCTETS,
    V2_SIGNATURE,
    Endpoint,
    ProxyHeader,
    crc32c,
    parse_proxy_header,
)

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CLIENT, SITE = Endpoint("198.51.100.7", 50123), Endpoint("203.0.113.9", 443)
CLIENT6, SITE6 = Endpoint("2001:db8::7", 50123), Endpoint("2001:db8:aa::9", 443)

IPV4 = socket.inet_aton(CLIENT.host) + socket.inet_aton(SITE.host) + b"\xc3\xcb\x01\xbb"
IPV6 = (
    socket.inet_pton(socket.AF_INET6, CLIENT6.host)
    + socket.inet_pton(socket.AF_INET6, SITE6.host)
    + b"\xc3\xcb\x01\xbb"
)
MAPPED = (b"\0" * 10 + b"\xff\xff" + IPV4[:4]) + (b"\0" * 10 + b"\xff\xff" + IPV4[4:8]) + IPV4[8:]
UNIX = b"/run/a.sock".ljust(108, b"\0") + b"/run/b.sock".ljust(108, b"\0")


def v2(addresses: bytes = IPV4, *, command: int = 0x21, family: int = 0x11, tlvs: bytes = b"") -> bytes:
    length = len(addresses + tlvs).to_bytes(2, "big")
    return V2_SIGNATURE + bytes([command, family]) + length + addresses + tlvs


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def with_checksum(before: bytes = b"", after: bytes = b"", flip: int = 0) -> bytes:
    header = v2(tlvs=before + tlv(0x03, bytes(4)) + after)
    at = V2_FIXED_OCTETS + len(IPV4) + len(before) + 3
    return header[:at] + (crc32c(header) ^ flip).to_bytes(4, "big") + header[at + 4 :]


LONGEST_V1 = (
    b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535".ljust(MAX_V1_OCTETS - 2, b" ") + b"\r\n"
)  # section 2.1
SSL = tlv(0x20, b"\x01" + bytes(4) + tlv(0x21, b"TLSv1.3"))

GOOD: dict[str, tuple[bytes, ProxyHeader]] = {
    "v1 IPv4": (b"PROXY TCP4 198.51.100.7 203.0.113.9 50123 443\r\n", ProxyHeader(47, CLIENT, SITE)),
    "v1 IPv6": (b"PROXY TCP6 2001:db8::7 2001:DB8:aa:0::9 50123 443\r\n", ProxyHeader(51, CLIENT6, SITE6)),
    "v1 mapped": (
        b"PROXY TCP6 ::ffff:198.51.100.7 ::ffff:203.0.113.9 50123 443\r\n",
        ProxyHeader(61, CLIENT, SITE),
    ),
    "v1 ports at their ends": (
        b"PROXY TCP4 198.51.100.7 203.0.113.9 0 65535\r\n",
        ProxyHeader(45, CLIENT._replace(port=0), SITE._replace(port=65535)),
    ),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", ProxyHeader(15)),
    "v1 unknown with more": (b"PROXY UNKNOWN ::1 ::2 1 2\r\n", ProxyHeader(27)),
    "v1 of 107 octets": (LONGEST_V1, ProxyHeader(107)),
    "v2 IPv4": (v2(), ProxyHeader(28, CLIENT, SITE)),
    "v2 IPv6": (v2(IPV6, family=0x21), ProxyHeader(52, CLIENT6, SITE6)),
    "v2 mapped": (v2(MAPPED, family=0x21), ProxyHeader(52, CLIENT, SITE)),
    "v2 Unix socket": (v2(UNIX, family=0x31), ProxyHeader(232)),
    "v2 UDP, as for a client of HTTP/3": (v2(family=0x12), ProxyHeader(28, CLIENT, SITE)),
    "v2 LOCAL": (v2(b"", command=0x20, family=0x00), ProxyHeader(16, is_local=True)),
    "v2 LOCAL with addresses, which count for nothing": (v2(command=0x20), ProxyHeader(28, is_local=True)),
    "v2 LOCAL with too few octets for its family": (v2(b"abc", command=0x20), ProxyHeader(19, is_local=True)),
    "v2 UNSPEC": (v2(b"", family=0x00), ProxyHeader(16)),
    "v2 UNSPEC with something": (v2(b"something", family=0x00), ProxyHeader(25)),
    "v2 with TLVs": (v2(tlvs=tlv(0x01, b"h2") + tlv(0x04, b"") + tlv(0xEA, b"vpce-1")), ProxyHeader(45, CLIENT, SITE)),
    "v2 TLS": (v2(tlvs=SSL), ProxyHeader(28 + len(SSL), CLIENT, SITE, is_tls=True)),
    "v2 TLS not used": (v2(tlvs=tlv(0x20, bytes(5))), ProxyHeader(36, CLIENT, SITE)),
    "v2 with a checksum": (with_checksum(), ProxyHeader(35, CLIENT, SITE)),
    "v2 with a checksum among others": (with_checksum(tlv(1, b"h2"), tlv(4, b"x")), ProxyHeader(44, CLIENT, SITE)),
    "v2 at the limit": (
        v2(tlvs=tlv(0x04, bytes(MAX_V2_OCTETS - 28 - 3))),
        ProxyHeader(MAX_V2_OCTETS, CLIENT, SITE),
    ),
}

BAD: dict[str, bytes] = {
    "a request": REQUEST,
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01",
    "an empty line": b"\r\nPROXY UNKNOWN\r\n",
    "a blank in front": b" PROXY UNKNOWN\r\n",
    "small letters": b"proxy UNKNOWN\r\n",
    "v1 nothing": b"PROXY \r\n",
    "v1 no family": b"PROXY\r\n",
    "v1 other family": b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "v1 unknown without a blank": b"PROXY UNKNOWNS\r\n",
    "v1 LF alone": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
    "v1 CR inside": b"PROXY TCP4 1.2.3.4 1.2.3.4\r 1 2\r\n",
    "v1 two blanks": b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
    "v1 a tab": b"PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n",
    "v1 a blank at the end": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
    "v1 one port": b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    "v1 IPv6 as TCP4": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "v1 IPv4 as TCP6": b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
    "v1 a name": b"PROXY TCP4 localhost 1.2.3.4 1 2\r\n",
    "v1 leading zero in an address": b"PROXY TCP4 010.0.0.1 1.2.3.4 1 2\r\n",
    "v1 three octets": b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
    "v1 brackets": b"PROXY TCP6 [::1] [::1] 1 2\r\n",
    "v1 a zone": b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "v1 leading zero in a port": b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    "v1 a port past the last": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
    "v1 a signed port": b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
    "v1 NUL": b"PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n",
    "v1 of 108 octets": LONGEST_V1[:-2] + b" \r\n",
    "v1 without end": b"PROXY UNKNOWN " + b"x" * 200,
    "v1 a request in the line": b"PROXY " + REQUEST,
    "v2 signature changed at its end": V2_SIGNATURE[:-1] + b"\r" + v2()[12:],
    "v2 version 1": v2(command=0x11),
    "v2 version 3": v2(command=0x31),
    "v2 unknown command": v2(command=0x22),
    "v2 unknown family": v2(family=0x41),
    "v2 unknown transport": v2(family=0x13),
    "v2 LOCAL of unknown family": v2(b"", command=0x20, family=0x50),
    "v2 IPv4 with 11 octets": v2(IPV4[:-1]),
    "v2 IPv6 with 35 octets": v2(IPV6[:-1], family=0x21),
    "v2 Unix socket with 215 octets": v2(UNIX[:-1], family=0x31),
    "v2 past the limit": v2(tlvs=tlv(0x04, bytes(MAX_V2_OCTETS - 28 - 2))),
    "v2 as long as 16 bits allow": v2()[:14] + b"\xff\xff",
    "v2 half a TLV": v2(tlvs=b"\x01\x00"),
    "v2 a TLV longer than the header": v2(tlvs=b"\x01\x00\x03h2"),
    "v2 a TLV that reaches into the request": v2(tlvs=b"\x04\xff\xff"),
    "v2 an SSL TLV too short": v2(tlvs=tlv(0x20, bytes(4))),
    "v2 a wrong checksum": with_checksum(flip=1),
    "v2 a wrong checksum among others": with_checksum(tlv(1, b"h2"), tlv(4, b"x"), flip=1 << 31),
    "v2 a short checksum": v2(tlvs=tlv(0x03, bytes(3))),
    "v2 a long checksum": v2(tlvs=tlv(0x03, bytes(5))),
}


def feed(octets: bytes, cuts: list[int], mode: str = "auto") -> ProxyHeader | int | None:
    """What comes of `octets` received in pieces: a header, the status code of a refusal, or None if more is awaited."""
    for end in [*sorted(cuts), len(octets)]:
        try:
            header = parse_proxy_header(octets[:end], mode)
        except ProtocolError as error:
            return error.status_code
        if header is not None:
            return header
    return None


WAYS: dict[str, Callable[[bytes], list[int]]] = {
    "whole": lambda octets: [],
    "byte by byte": lambda octets: list(range(len(octets))),
}
EACH_WAY = pytest.mark.parametrize("way", WAYS)


@EACH_WAY
@pytest.mark.parametrize("rest", [b"", REQUEST, b"\n", b"PROXY UNKNOWN\r\n"], ids=repr)
@pytest.mark.parametrize("case", GOOD)
def test_a_header_is_read(case: str, rest: bytes, way: str) -> None:
    octets, header = GOOD[case]
    assert header.octets == len(octets)
    assert feed(octets + rest, WAYS[way](octets + rest)) == header


@pytest.mark.parametrize("case", GOOD)
def test_any_part_of_a_header_is_incomplete(case: str) -> None:
    octets, _ = GOOD[case]
    assert all(parse_proxy_header(bytearray(octets[:end])) is None for end in range(len(octets)))


@EACH_WAY
@pytest.mark.parametrize("case", BAD)
def test_what_is_no_header_is_refused(case: str, way: str) -> None:
    octets = BAD[case] + REQUEST
    assert feed(octets, WAYS[way](octets)) == 400


def test_a_refusal_does_not_wait_for_the_rest() -> None:
    for start in (b"G", b"PROXZ", b"PROXY TCP4 1.2.3.4\r ", V2_SIGNATURE + b"\x31", v2()[:14] + b"\xff\xff"):
        with pytest.raises(ProtocolError):
            parse_proxy_header(start)


@pytest.mark.parametrize(("mode", "refused"), [("v1", "v2 IPv4"), ("v2", "v1 IPv4")])
def test_only_the_version_that_was_asked_for_is_read(mode: str, refused: str) -> None:
    accepted = "v1 IPv4" if mode == "v1" else "v2 IPv4"
    assert feed(GOOD[accepted][0], [], mode) == GOOD[accepted][1]
    assert feed(GOOD[refused][0], [], mode) == 400
    assert feed(GOOD[refused][0][:1], [], mode) == 400


def test_the_setting_knows_the_same_modes() -> None:
    assert readers.PROXY_PROTOCOLS == MODES


def test_the_checksum_is_the_one_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, appendix B.4
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


PREFIXES = st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 1.2.3.4 ", V2_SIGNATURE, v2()[:14], *BAD.values()])
OCTETS = st.builds(lambda start, rest: start + rest, PREFIXES, st.binary(max_size=60)) | st.sampled_from(
    [octets for octets, _ in GOOD.values()]
)


@given(OCTETS, st.lists(st.integers(0, 300), max_size=6))
def test_any_split_gives_the_same(octets: bytes, cuts: list[int]) -> None:
    whole = feed(octets, [])
    assert feed(octets, [cut for cut in cuts if cut <= len(octets)]) == whole
    assert whole is None or isinstance(whole, ProxyHeader) or whole == 400


@given(st.sampled_from([octets for octets, _ in GOOD.values()]), st.data())
def test_a_changed_octet_is_never_more_than_a_refusal(octets: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(octets) - 1))
    changed = octets[:at] + bytes([data.draw(st.integers(0, 255))]) + octets[at + 1 :] + REQUEST
    found = feed(changed, [])
    assert found is None or found == 400 or isinstance(found, ProxyHeader)
