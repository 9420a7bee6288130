"""The request reader: octets in, whole requests out, whatever arrives and however it is split."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ropewalk.errors import ProtocolError
from ropewalk.http.chunked import ChunkLimits
from ropewalk.http.head import HeadLimits
from ropewalk.net.body_budget import BodyBudget
from ropewalk.net.connection_states import State
from ropewalk.net.request_reader import RequestLimits, RequestReader

HEAD = b"POST /%d HTTP/1.1\r\nHost: a\r\n"
SMALL = HeadLimits(request_line=60, field_line=60, fields=6, head=200)


def make_reader(content: int = 0, body_memory: int = 64) -> RequestReader:
    chunks = ChunkLimits(content=content, line=40, extensions=60)
    return RequestReader(RequestLimits(SMALL, chunks, body_memory, BodyBudget(0)))


def receive(pieces: Iterable[bytes], content: int = 0, body_memory: int = 64) -> list[Any]:
    """Every request's method, target and content, then the status code of a refusal or the final state."""
    reader = make_reader(content, body_memory)
    found: list[Any] = []
    try:
        for piece in pieces:
            is_whole = reader.feed(piece)
            while is_whole:
                head, body = reader.head, reader.body
                assert head is not None
                found.append((head.method, head.request_target, body.read() if body is not None else None))
                reader.reset()
                is_whole = bool(reader.buffer) and reader.feed_buffered()
    except ProtocolError as error:
        return [*found, error.status_code]
    finally:
        state = reader.state
        reader.reset()
    return [*found, state]


fragments = st.sampled_from(
    [
        *(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.0\r\n\r\n"),
        *(b"Content-Length: 5\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"\r\n", b"\r\n\r\n", b"\r", b"\n"),
        *(
            b"hello",
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"0\r\n",
            b"X: y\r\n",
            b"5;a=b\r\nhello\r\n",
            b"GET ",
            b"\0",
            b"a" * 50,
        ),
    ]
)
streams = st.lists(fragments, max_size=12).map(b"".join)


@given(streams, st.lists(st.integers(1, 300), max_size=8), st.sampled_from([(0, 64), (5, 4), (4, 64)]))
@settings(deadline=None)
@example(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", [], (0, 64))
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", [32], (0, 64))
@example(HEAD % 1 + b"Content-Length: 5\r\n\r\nhello", [], (4, 64))
@example(HEAD % 1 + b"Content-Length: 5\r\n\r\nhello", [], (5, 4))
def test_how_octets_are_split_changes_nothing(octets: bytes, cuts: list[int], limits: tuple[int, int]):
    whole = receive([octets] if octets else [], *limits)
    places = [0, *sorted({cut for cut in cuts if cut < len(octets)}), len(octets)]
    assert receive((octets[a:b] for a, b in itertools.pairwise(places) if a < b), *limits) == whole
    assert receive((octets[at : at + 1] for at in range(len(octets))), *limits) == whole


@given(st.binary(min_size=1, max_size=200), st.binary(min_size=1, max_size=200))
@settings(deadline=None)
def test_no_octets_raise_anything_but_a_protocol_error(one: bytes, other: bytes):
    reader = make_reader()
    with contextlib.suppress(ProtocolError):
        if not reader.feed(one):
            reader.feed(other)
    reader.reset()


SIMILAR = (
    b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /b?c HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nCookie: k=1\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nCookie: k=2\r\n\r\n",
    b"GET /%41 HTTP/1.0\r\nHost: x\r\n\r\n",
    b"GET /a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    b"HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET http://h/a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabd",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
)


def read_request(reader: RequestReader, octets: bytes, cut: int) -> dict[str, Any]:
    """All that is known of a request which comes in one piece, or in two."""
    for piece in filter(None, (octets[:cut], octets[cut:])):
        is_whole = reader.feed(piece)
    assert is_whole
    head, body = reader.head, reader.body
    assert head is not None
    found = {name: getattr(head, name) for name in dir(head) if name[0] != "_" and name != "field_text"}
    found["fields"] = dict(head.fields)
    found["body"] = body.read() if body is not None else None
    reader.reset()
    assert not reader.buffer
    return found


@given(st.lists(st.tuples(st.integers(0, len(SIMILAR) - 1), st.sampled_from([0, 0, 0, 1, 5, -1])), max_size=16))
@settings(deadline=None)
def test_no_request_is_made_from_another_ones_head(requests: list[tuple[int, int]]):
    """A connection that has served others reads a request as a new one does, however it comes."""
    reader = make_reader()
    for number, cut in requests:
        assert read_request(reader, SIMILAR[number], cut) == read_request(make_reader(), SIMILAR[number], 0)


class Requests(RuleBasedStateMachine):
    """A peer that sends good requests, in pieces of its choice, and a model that knows what it sent."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = make_reader()
        self.sent: list[tuple[str, bytes]] = []
        self.received: list[tuple[str, bytes]] = []
        self.unsent = b""

    @rule(content=st.binary(max_size=100), is_chunked=st.booleans(), parts=st.integers(1, 4))
    def make_request(self, content: bytes, is_chunked: bool, parts: int) -> None:
        target = f"/{len(self.sent)}"
        head = HEAD % len(self.sent)
        if is_chunked:
            step = len(content) // parts + 1
            chunks = [content[at : at + step] for at in range(0, len(content), step)]
            coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
            self.unsent += head + b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n"
        else:
            self.unsent += head + b"Content-Length: %d\r\n\r\n" % len(content) + content
        self.sent.append((target, content))

    @rule(count=st.integers(1, 200))
    def send(self, count: int) -> None:
        piece, self.unsent = self.unsent[:count], self.unsent[count:]
        is_whole = bool(piece) and self.reader.feed(piece)
        while is_whole:
            self._take_request()
            is_whole = bool(self.reader.buffer) and self.reader.feed_buffered()

    def _take_request(self) -> None:
        head, body = self.reader.head, self.reader.body
        assert head is not None
        assert self.reader.state is State.RUNNING
        self.received.append((head.path, body.read() if body is not None else b""))
        self.reader.reset()
        assert self.reader.state is State.IDLE

    def teardown(self) -> None:
        if self.unsent:
            self.send(len(self.unsent))
        assert self.received == self.sent
        self.reader.reset()


TestRequests = Requests.TestCase
TestRequests.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


@pytest.mark.parametrize(
    "octets",
    [
        b"GET /" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
        b"\r\n" + b" " * 100_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 100_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 100_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;a\r\nx\r\n" * 20_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 20_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * 100_000,
    ],
)
def test_what_is_kept_of_what_is_no_request_is_bounded(octets: bytes):
    """Memory of a connection: never more than the limits allow, and one piece."""
    piece = 50
    reader = make_reader()
    with pytest.raises(ProtocolError):
        take_in_pieces(reader, octets, piece)
    reader.reset()


def take_in_pieces(reader: RequestReader, octets: bytes, piece: int) -> None:
    for at in range(0, len(octets), piece):
        reader.feed(octets[at : at + piece])
        assert len(reader.buffer) <= SMALL.head + piece


@pytest.mark.parametrize(("length", "is_in_memory"), [(64, True), (65, False)])
@pytest.mark.parametrize("is_chunked", [True, False])
def test_content_past_body_memory_goes_to_a_file(length: int, is_in_memory: bool, is_chunked: bool):
    content = bytes(range(length))
    reader = make_reader()
    if is_chunked:
        coded = b"".join(b"1\r\n%c\r\n" % octet for octet in content)
        octets = HEAD % 1 + b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n"
    else:
        octets = HEAD % 1 + b"Content-Length: %d\r\n\r\n" % length + content
    assert reader.feed(octets)
    assert reader.body is not None
    assert hasattr(reader.body, "getbuffer") == is_in_memory
    assert reader.body.read() == content
    reader.reset()


@pytest.mark.parametrize("is_chunked", [True, False])
def test_content_that_can_not_be_stored_is_answered_503(
    is_chunked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    reader = make_reader(body_memory=4)
    framing = b"Transfer-Encoding: chunked\r\n\r\n5\r\n" if is_chunked else b"Content-Length: 5\r\n\r\n"
    with pytest.raises(ProtocolError) as caught:
        reader.feed(HEAD % 1 + framing + b"hello")
    assert caught.value.status_code == 503
    reader.reset()


@pytest.mark.parametrize(("length", "is_allowed"), [(10, True), (11, False)])
def test_a_length_over_the_limit_is_refused_before_its_content(length: int, is_allowed: bool):
    reader = make_reader(content=10)
    octets = HEAD % 1 + b"Content-Length: %d\r\n\r\n" % length
    if is_allowed:
        assert not reader.feed(octets)
        assert reader.state is State.BODY
    else:
        with pytest.raises(ProtocolError) as caught:
            reader.feed(octets)
        assert caught.value.status_code == 413
    reader.reset()


def test_states_follow_what_is_there():
    reader = make_reader()
    assert reader.state is State.IDLE
    assert not reader.feed(b"POST / HTTP")
    assert reader.state is State.HEAD
    assert not reader.feed(b"/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
    assert reader.state is State.BODY
    assert not reader.feed(b"a")
    assert reader.body_octets == 1
    assert reader.feed(b"bGET /")
    assert reader.state is State.RUNNING
    reader.reset()
    assert reader.state is State.IDLE
    assert reader.buffer == b"GET /"
    assert not reader.feed_buffered()
    assert reader.state is State.HEAD
    reader.reset()


@pytest.mark.parametrize(
    "lines", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\nCookie: a=1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]
)
def test_what_ends_like_a_head_may_be_more_than_one(lines: bytes):
    reader = make_reader()
    for head in (
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nAccept: */*\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ):
        assert reader.feed(head)
        reader.reset()
    assert reader.feed(lines + b"Accept: */*\r\n\r\n")
    assert reader.head is not None
    assert reader.head.fields == {"HTTP_HOST": "a"}
    assert reader.buffer == lines.partition(b"\r\n\r\n")[2] + b"Accept: */*\r\n\r\n"
    reader.reset()
