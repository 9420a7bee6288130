"""RFC 9112 sections 2 to 6: the request head, in one piece and in many."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import h11
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ropewalk.errors import ProtocolError
from ropewalk.http import grammar
from ropewalk.http.head import (
    CHUNKED,
    END_OF_HEAD,
    HTTP_10,
    HTTP_11,
    HeadLimits,
    HeadScanner,
    RequestHead,
    _split_head,
    parse_head,
)
from ropewalk.http.target import parse_target

LIMITS = HeadLimits()
SMALL = HeadLimits(request_line=40, field_line=30, fields=4, head=120)


def facts(head: RequestHead) -> dict[str, Any]:
    return {name: getattr(head, name) for name in dir(head) if not name.startswith("_")}


def read_whole(octets: bytes, limits: HeadLimits) -> dict[str, Any] | int:
    """The head in one piece, as a connection reads it that gets it in one piece; a status code when it is refused."""
    end = octets.find(END_OF_HEAD)
    try:
        return facts(parse_head(octets[: end + 2].decode("latin-1"), limits))
    except ProtocolError as error:
        return error.status_code


def read_in_pieces(octets: bytes, cuts: Iterable[int], limits: HeadLimits) -> dict[str, Any] | int:
    """The same, walked line by line first."""
    scanner = HeadScanner(limits)
    try:
        for cut in [*sorted({cut for cut in cuts if 0 < cut < len(octets)}), len(octets)]:
            length = scanner.scan(octets[:cut])
            if length:
                assert length == octets.find(END_OF_HEAD) + 4
                return facts(parse_head(octets[: length - 2].decode("latin-1"), limits))
    except ProtocolError as error:
        return error.status_code
    raise AssertionError("the scanner did not see the end")


lines = st.sampled_from(
    [
        *(b"GET / HTTP/1.1\r\n", b"GET /a?b HTTP/1.0\r\n", b"OPTIONS * HTTP/1.1\r\n", b"GET http://h/x HTTP/1.1\r\n"),
        *(b"POST /%41 HTTP/1.1\r\n", b"GET / HTTP/2.0\r\n", b"GET /" + b"a" * 50 + b" HTTP/1.1\r\n"),
        *(b"Host: a\r\n", b"Host: b:80\r\n", b"host:  c \t\r\n", b"X: y\r\n", b"X_Y: z\r\n", b"Cookie: a=1\r\n"),
        *(b"Content-Length: 5\r\n", b"Content-Length: +5\r\n", b"X: " + b"a" * 40 + b"\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n"),
        *(b"Connection: close, x\r\n", b"Connection: Keep-Alive\r\n", b"Expect: 100-continue\r\n", b"Expect: x\r\n"),
        *(b" folded\r\n", b"bad\r\n", b"X : y\r\n", b"X: \0\r\n", b"X: \n", b"\r", b"\xff\r\n"),
    ]
)
heads = st.tuples(lines, st.lists(lines, max_size=8)).map(lambda parts: parts[0] + b"".join(parts[1]) + b"\r\n")
good_heads = st.tuples(
    st.sampled_from(["GET", "POST", "get", "M-SEARCH"]),
    st.sampled_from(["/", "/a%20b?c=d", "//x", "http://h:1/y"]),
    st.sampled_from(["1.0", "1.1"]),
    st.lists(
        st.tuples(
            st.from_regex(r"[Xx]-[a-z]{1,4}", fullmatch=True),
            st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=20),
        ),
        max_size=5,
    ),
).map(
    lambda parts: (
        f"{parts[0]} {parts[1]} HTTP/{parts[2]}\r\nHost: a\r\n" + "".join(f"{n}: {v}\r\n" for n, v in parts[3]) + "\r\n"
    ).encode("latin-1")
)
cuts = st.lists(st.integers(1, 400), max_size=10)


@given(st.one_of(heads, good_heads), cuts, st.sampled_from([LIMITS, SMALL]))
def test_how_octets_are_split_changes_nothing(octets: bytes, cuts: list[int], limits: HeadLimits):
    assume(END_OF_HEAD in octets)
    whole = read_whole(octets, limits)
    assert read_in_pieces(octets, cuts, limits) == whole
    assert read_in_pieces(octets, range(1, len(octets)), limits) == whole


@given(st.lists(st.one_of(heads, good_heads), min_size=1, max_size=3), st.lists(st.integers(0, 2), max_size=6))
def test_head_is_read_the_same_after_any_other(octets: list[bytes], order: list[int]):
    previous = None
    for number in order:
        head = octets[number % len(octets)]
        assume(END_OF_HEAD in head)
        expected = read_whole(head, LIMITS)
        try:
            read = parse_head(head[: head.find(END_OF_HEAD) + 2].decode("latin-1"), LIMITS, previous)
        except ProtocolError as error:
            found: dict[str, Any] | int = error.status_code
        else:
            found, previous = facts(read), read
        assert found == expected


@given(
    st.sampled_from(["GET", "OPTIONS", "CONNECT", "get"]) | st.from_regex(r"[!-~]{1,8}", fullmatch=True),
    st.from_regex(r"/[!-~]{0,20}", fullmatch=True) | st.from_regex(r"/[a-z%?/41]{0,12}", fullmatch=True),
    st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/1.9", "HTTP/2.0", "HTTP/1.10", "http/1.1"]),
)
def test_a_plain_head_is_read_as_any_other(method: str, request_target: str, version: str):
    text = f"{method} {request_target} {version}\r\nHost: a\r\n"
    match = grammar.PLAIN_HEAD.match(text)
    try:
        expected = _split_head(text, LIMITS)
    except ProtocolError:
        assert match is None
        return
    assert match is not None  # every valid head whose target is in origin-form is a plain one
    plain_method, target, path, query, minor, field_text = match.groups("")
    assert (plain_method, target, minor, field_text) == expected
    if "%" not in path and method != "CONNECT":
        assert (path, query, None, False) == parse_target(method, request_target)


def test_fields_that_are_repeated_are_not_parsed_again():
    first = parse_head("GET / HTTP/1.1\r\nHost: a\r\n", LIMITS)
    assert parse_head("POST /b HTTP/1.1\r\nHost: a\r\n", LIMITS, first).fields is first.fields
    assert parse_head("GET / HTTP/1.1\r\nHost: b\r\n", LIMITS, first).fields == {"HTTP_HOST": "b"}
    assert parse_head("GET http://c/ HTTP/1.1\r\nHost: a\r\n", LIMITS, first).fields == {"HTTP_HOST": "c"}
    assert first.fields == {"HTTP_HOST": "a"}


def test_a_long_head_is_not_kept():
    assert parse_head(f"GET /{'a' * 1024} HTTP/1.1\r\nHost: a\r\n", LIMITS).field_text is None


@given(st.text(st.characters(max_codepoint=255), max_size=120))
def test_no_text_raises_anything_but_a_protocol_error(text: str):
    for limits in (LIMITS, SMALL):
        with contextlib.suppress(ProtocolError):
            parse_head(text, limits)


@given(st.binary(min_size=1, max_size=120), st.integers(1, 119))
def test_no_octets_make_the_scanner_raise_anything_but_a_protocol_error(octets: bytes, cut: int):
    scanner = HeadScanner(SMALL)
    with contextlib.suppress(ProtocolError):
        if not scanner.scan(octets[:cut]):
            scanner.scan(octets)


@given(st.one_of(heads, good_heads))
def test_h11_reads_the_same_from_what_is_accepted(octets: bytes):
    """One direction only. h11 (0.16) is also content with Content-Length next to Transfer-Encoding, bare line feeds,
    obs-fold, two equal lengths, any Host, and chunked in HTTP/1.0: all refused here."""
    whole = read_whole(octets, LIMITS)
    if isinstance(whole, int) or whole["content_length"] not in (0, CHUNKED):
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(octets)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    assert event.method.decode() == whole["method"]
    assert event.target.decode() == whole["request_target"]
    version = HTTP_10 if event.http_version == b"1.0" else HTTP_11
    assert version == whole["version"]
    assert connection.they_are_waiting_for_100_continue == whole["expects_continue"]
    read: dict[str, list[str]] = {}
    for name, value in event.headers:
        if b"_" not in name:
            read.setdefault(name.decode().upper().replace("-", "_"), []).append(value.decode("latin-1"))
    ours = {key.removeprefix("HTTP_"): value for key, value in whole["fields"].items()}
    assert ours.keys() == read.keys()
    for name, values in read.items():
        if name != "HOST":  # absolute-form overrides it, which h11 leaves to its user
            assert ours[name] == ("; " if name == "COOKIE" else ", ").join(values)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", {"content_length": 0, "is_persistent": True, "expects_continue": False}),
        ("Content-Length: 5\r\n", {"content_length": 5}),
        ("Content-Length: 0\r\nExpect: 100-continue\r\n", {"content_length": 0, "expects_continue": False}),
        ("Content-Length: 5\r\nExpect: 100-continue\r\n", {"content_length": 5, "expects_continue": True}),
        (
            "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n",
            {"content_length": CHUNKED, "expects_continue": True},
        ),
        ("Connection: x, Close\r\n", {"is_persistent": False}),
    ],
)
def test_what_framing_and_connection_fields_say(fields: str, expected: dict[str, Any]):
    head = facts(parse_head(f"GET / HTTP/1.1\r\nHost: a\r\n{fields}", LIMITS))
    assert {name: head[name] for name in expected} == expected


def test_each_limit_has_its_status():
    for text, status_code in [
        (f"GET /{'a' * 30} HTTP/1.1\r\n", 414),
        (f"GET / HTTP/1.1\r\nX: {'a' * 28}\r\n", 431),
        ("GET / HTTP/1.1\r\n" + "X: y\r\n" * 5, 431),
        ("GET / HTTP/1.1\r\n" + f"X: {'y' * 24}\r\n" * 4, 431),
    ]:
        with pytest.raises(ProtocolError) as caught:
            parse_head(text, SMALL)
        assert caught.value.status_code == status_code


def test_as_much_as_the_limits_allow_is_read():
    request_line = f"GET /{'a' * 26} HTTP/1.1\r\n"
    assert len(request_line) - 2 == SMALL.request_line
    long_field = f"Host:{'a' * 25}\r\n"
    assert len(long_field) - 2 == SMALL.field_line
    text = request_line + long_field + "X: y\r\n" * 2
    text += f"X: {'y' * (SMALL.head - len(text) - 7)}\r\n"
    assert len(text) + 2 == SMALL.head
    assert parse_head(text, SMALL).fields["HTTP_HOST"] == "a" * 25
    with pytest.raises(ProtocolError):
        parse_head(text.replace("X: y", "X: yy", 1), SMALL)


def test_a_scanner_looks_at_each_octet_once():
    """Linear work, counted: each line is decoded once, and line feeds are looked for where none was looked for."""

    class Counting(bytes):
        octets = 0

        def __getitem__(self, key: Any) -> Any:
            found = super().__getitem__(key)
            Counting.octets += len(found) if isinstance(found, bytes) else 1
            return found

        def find(self, sub: Any, start: Any = None, end: Any = None) -> int:
            found = super().find(sub, start)
            Counting.octets += (found if found >= 0 else len(self)) - start + 1
            return found

    def work(octets: bytes) -> int:
        Counting.octets = 0
        scanner = HeadScanner(LIMITS)
        for end in range(1, len(octets) + 1):
            scanner.scan(Counting(octets[:end]))
        return Counting.octets

    for octets in (
        b"GET /" + b"a" * 2000,
        b"GET / HTTP/1.1\r\nX:" + b" " * 4000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 90,
    ):
        assert work(octets) <= 5 * len(octets)


def test_a_head_in_one_piece_is_matched_once(monkeypatch: pytest.MonkeyPatch):
    """The quick way stays quick: one match for a usual head; for another, one more and a `findall`, but no scanner."""
    calls: list[str] = []

    class Counting:
        def __init__(self, name: str) -> None:
            self._name = name
            self._pattern = getattr(grammar, name)

        def __getattr__(self, method: str) -> Any:
            calls.append(f"{self._name}.{method}")
            return getattr(self._pattern, method)

    for name in ("PLAIN_HEAD", "REQUEST_LINE", "FIELD_LINE"):
        monkeypatch.setattr(grammar, name, Counting(name))
    parse_head("GET / HTTP/1.1\r\nHost: a\r\n", LIMITS)
    assert calls == ["PLAIN_HEAD.match"]
    calls.clear()
    parse_head("GET / HTTP/1.1\r\nHost: a\r\n" + "X: y\r\n" * 50, LIMITS)
    assert calls == ["PLAIN_HEAD.match", "REQUEST_LINE.match", "FIELD_LINE.findall"]
