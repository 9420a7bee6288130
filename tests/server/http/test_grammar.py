"""The patterns of RFC 9110 and RFC 9112: what each rule takes, octet by octet."""

from __future__ import annotations

import ipaddress
import re
import string
from re import _constants, _parser  # type: ignore[attr-defined]  # the parsed form of a pattern, for which nothing is public
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.http import grammar

OCTETS = [chr(octet) for octet in range(256)]
TCHARS = set(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
HEX = set(string.hexdigits)

text = st.text(st.characters(max_codepoint=255), max_size=60)


def test_a_token_has_the_characters_of_rfc_9110_5_6_2_and_no_others():
    assert {octet for octet in OCTETS if grammar.TOKEN.fullmatch(octet)} == TCHARS
    assert not grammar.TOKEN.fullmatch("")


def test_a_method_is_a_token():
    assert {octet for octet in OCTETS if grammar.REQUEST_LINE.fullmatch(f"{octet} / HTTP/1.1\r\n")} == TCHARS


PCHARS = {*string.ascii_letters, *string.digits, *"-._~", *"!$&'()*+,;=", *":@", "%"}
"""RFC 3986 section 3.3, and the sign that begins a percent-encoded octet."""


def test_a_target_has_the_characters_of_rfc_3986_and_those_that_browsers_leave_bare():
    """The URL Standard's path and query percent-encode sets; a browser sends a backslash in a path as a slash."""
    for pattern, start in (
        (grammar.REQUEST_LINE, "/"),
        (grammar.REQUEST_LINE, "http://h/"),
        (grammar.PLAIN_HEAD, "/"),
    ):
        path = {octet for octet in OCTETS if pattern.match(f"GET {start}{octet} HTTP/1.1\r\nHost: h\r\n")}
        query = {octet for octet in OCTETS if pattern.match(f"GET {start}?{octet} HTTP/1.1\r\nHost: h\r\n")}
        assert path == PCHARS | set("/[]|") | {"?"}  # which begins the query
        assert query == PCHARS | set("/?[]|\\^`{}")


def test_a_version_is_one_ascii_digit_each():
    digits = {octet for octet in OCTETS if grammar.REQUEST_LINE.fullmatch(f"GET / HTTP/{octet}.{octet}\r\n")}
    assert digits == set(string.digits)


def test_a_field_name_is_a_token():
    assert {octet for octet in OCTETS if grammar.FIELD_LINE.fullmatch(f"{octet}: a\r\n")} == TCHARS


def test_a_field_value_has_tabs_and_everything_from_the_space_on_but_del():
    allowed = {octet for octet in OCTETS if grammar.FIELD_LINE.fullmatch(f"a: b{octet}c\r\n")}
    assert allowed == {"\t"} | {chr(octet) for octet in range(0x20, 0x100)} - {"\x7f"}
    assert allowed == {octet for octet in OCTETS if grammar.FIELD_VALUE.fullmatch(octet)}


def test_a_length_is_ascii_digits():
    assert {octet for octet in OCTETS if grammar.CONTENT_LENGTH.fullmatch(octet)} == set(string.digits)
    assert not grammar.CONTENT_LENGTH.fullmatch("")
    assert not grammar.CONTENT_LENGTH.fullmatch("\u0665")


def test_a_chunk_size_is_hexadecimal_digits():
    lines = {octet: (octet + "\r\n").encode("latin-1") for octet in OCTETS}
    assert {octet for octet, line in lines.items() if grammar.CHUNK_LINE.fullmatch(line)} == HEX


def test_a_chunk_line_has_no_octet_that_ends_a_line_for_anybody():
    for octet in "\r\n\0\x0b\x0c\x1b\x7f":
        for line in (f"1;a{octet}b\r\n", f'1;a="{octet}"\r\n', f'1;a="\\{octet}"\r\n', f"1{octet}\r\n"):
            assert not grammar.CHUNK_LINE.fullmatch(line.encode("latin-1"))


@pytest.mark.parametrize("extension", ["a", "a=b", 'a="b"', 'a="\\""', ' a = "b ;"', "a;b;c=d", 'a=""'])
def test_chunk_extensions_of_rfc_9112_7_1_1(extension: str):
    assert grammar.CHUNK_LINE.fullmatch(f"1;{extension}\r\n".encode())


@pytest.mark.parametrize("extension", ["", " ", "a=", 'a="', 'a="\\"', "a b", "=b", "a=b c", "a ", ";a", 'a="b"c'])
def test_what_is_no_chunk_extension(extension: str):
    assert not grammar.CHUNK_LINE.fullmatch(f"1;{extension}\r\n".encode())


@given(st.binary(max_size=40))
def test_the_start_of_a_chunk_line_is_never_refused_before_its_end(octets: bytes):
    """What can still become a good line has to match the pattern for its start."""
    line = b"1f;" + octets
    if grammar.CHUNK_LINE.fullmatch(line + b"\r\n"):
        for end in range(1, len(line) + 1):
            assert grammar.CHUNK_LINE_START.fullmatch(line[:end])
        assert grammar.CHUNK_LINE_START.fullmatch(line + b"\r")


@pytest.mark.parametrize(
    "host", ["a", "a.b:80", "1.2.3.4", "[::1]", "[::1]:8000", "[v1.x:y]", "a_b", "%41", "a:", "~!$&'()*+,;="]
)
def test_a_host(host: str):
    assert grammar.HOST.fullmatch(host)


@pytest.mark.parametrize(
    "host",
    ["", ":80", "a b", "a/b", "a@b", "a:b", "a:80:80", "a:123456", "[::1", "[::1]a", "::1", "%zz", "a\\b", "a?", "a#"],
)
def test_what_is_no_host(host: str):
    assert not grammar.HOST.fullmatch(host)


addresses = st.one_of(
    st.ip_addresses(v=6).map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
    st.lists(
        st.sampled_from(["0", "1:", "::", ":", "ffff", "abcde:", "1.2.3.4", "1.2.3", "256.1.1.1", "g"]), max_size=9
    ).map("".join),
)


@given(addresses)
def test_an_ip_literal_is_an_ipv6_address_of_rfc_3986(address: str):
    try:
        ipaddress.IPv6Address(address)
        is_valid = True
    except ValueError:
        is_valid = False
    assert bool(grammar.HOST.fullmatch(f"[{address}]")) == is_valid


@pytest.mark.parametrize(
    "address", [":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::1.2.3", "::%eth0"]
)
def test_what_is_no_ip_literal(address: str):
    assert not grammar.HOST.fullmatch(f"[{address}]")


@pytest.mark.parametrize("status", ["200 OK", "200", "200 ", "599 \xff", "404 Not\tFound", "600 X", "999"])
def test_a_status(status: str):
    assert grammar.STATUS.fullmatch(status)


@pytest.mark.parametrize(
    "status", ["", "20 OK", "100 Continue", "1000 X", "2000 OK", "200OK", "200 O\rK", "200 O\nK", "200 \0"]
)
def test_what_is_no_final_status(status: str):
    assert not grammar.STATUS.fullmatch(status)


@given(text)
def test_lines_that_match_as_fields_are_those_that_a_plain_reading_takes(block: str):
    lines = [f"x{line}\r\n" for line in block.split("\n")]
    expected = [line for line in lines if _is_field(line)]
    whole = "".join(lines)
    found = grammar.FIELD_LINE.findall(whole)
    assert len(found) == len(expected)
    assert (len(found) == whole.count("\n")) == (len(expected) == len(lines))


def _is_field(line: str) -> bool:
    name, colon, value = line[:-2].partition(":")
    return bool(colon and name and set(name) <= TCHARS) and not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value)


def is_possessive(pattern: re.Pattern[Any]) -> bool:
    """Whether every quantifier without a bound is possessive, so that none gives back what it took."""
    greedy = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)

    def has_greedy(node: Any) -> bool:
        if isinstance(node, (list, tuple, _parser.SubPattern)):
            if len(node) == 2 and node[0] in greedy and node[1][1] == _constants.MAXREPEAT:
                return True
            return any(has_greedy(each) for each in node)
        return False

    return not has_greedy(_parser.parse(pattern.pattern, pattern.flags))


@pytest.mark.parametrize("name", sorted(name for name, value in vars(grammar).items() if isinstance(value, re.Pattern)))
def test_no_pattern_can_take_more_than_linear_time(name: str):
    assert is_possessive(getattr(grammar, name))


def test_a_pattern_that_backtracks_would_be_found():
    assert not is_possessive(re.compile("a*b"))
    assert not is_possessive(re.compile("[*](?:a|b)+"))
    assert is_possessive(re.compile("a*+[+*]b++"))
