"""RFC 9112 section 7: the chunked transfer coding, decoded however it arrives."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.errors import ProtocolError
from ropewalk.http import grammar
from ropewalk.http.chunked import LAST_CHUNK, ChunkedDecoder, ChunkLimits, ChunkState, encode_chunk
from ropewalk.http.head import HeadLimits

NO_LIMIT = ChunkLimits(content=0)


def decoder(limits: ChunkLimits = NO_LIMIT, **head_limits: int) -> ChunkedDecoder:
    return ChunkedDecoder(limits, HeadLimits(**head_limits))


def decode(pieces: Iterable[bytes], chunked: ChunkedDecoder | None = None) -> tuple[bytes, bytes, int]:
    """The content, what follows the body, and the status code of a refusal (0: complete, -1: more is awaited)."""
    chunked = chunked or decoder()
    content = bytearray()
    buffer = bytearray()
    verdict = -1
    for piece in pieces:
        buffer += piece
        if verdict == -1:
            try:
                verdict = 0 if chunked.decode(buffer, content.extend) else -1
            except ProtocolError as error:
                verdict = error.status_code
    return bytes(content), bytes(buffer) if verdict == 0 else b"", verdict


def pieces_of(octets: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted({cut for cut in cuts if cut < len(octets)}), len(octets)]
    return [octets[start:end] for start, end in itertools.pairwise(places)]


cuts = st.lists(st.integers(0, 300), max_size=12)

# Octets that come close to the coding: the properties meet its edges far more often than with octets at random.
fragments = st.sampled_from(
    [b"0", b"1", b"5", b"a", b"F", b"\r\n", b"\r", b"\n", b";", b"a=b", b'"', b'"c"', b" ", b"\t", b"hello", b"X: y",
     b"0\r\n\r\n", b"\0", b"\xff", b"-", b"+", b"_", b"x"]
)  # fmt: skip
close_to_it = st.lists(fragments, max_size=30).map(b"".join)
whole_bodies = st.lists(st.binary(min_size=1, max_size=40), max_size=8).map(
    lambda chunks: b"".join(map(encode_chunk, chunks)) + LAST_CHUNK
)


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=20), cuts, st.binary(max_size=20))
def test_what_is_encoded_decodes_to_the_same_content(chunks: list[bytes], cuts: list[int], rest: bytes):
    octets = b"".join(map(encode_chunk, chunks)) + LAST_CHUNK + rest
    assert decode(pieces_of(octets, cuts)) == (b"".join(chunks), rest, 0)


@given(st.one_of(close_to_it, st.tuples(whole_bodies, close_to_it).map(b"".join), st.binary(max_size=80)), cuts)
def test_how_octets_are_split_changes_nothing(octets: bytes, cuts: list[int]):
    whole = decode([octets])
    assert decode(pieces_of(octets, cuts)) == whole
    assert decode(octets[at : at + 1] for at in range(len(octets))) == whole


@given(st.binary(max_size=200))
def test_no_octets_raise_anything_but_a_protocol_error(octets: bytes):
    assert decode([octets])[2] in (0, -1, 400, 413, 431)


@given(close_to_it)
def test_h11_reads_the_same_content_from_what_is_accepted(octets: bytes):
    """One direction only: h11 (0.16) also takes bare line feeds at the end of lines and white space after a size."""
    content, rest, verdict = decode([octets])
    if verdict != 0:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + octets)
    read = b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Data):
            read += event.data
    assert read == content
    assert connection.trailing_data[0] == rest


@pytest.mark.parametrize(
    "octets",
    [
        b"5 \r\nhello\r\n0\r\n\r\n",  # h11 strips it; other readers stop at the space
        b"0\r\nX: y\n\r\n",  # h11 takes a bare line feed as a line's end
        b"0\r\nX: y\r\n z\r\n\r\n",  # h11 unfolds (obs-fold)
        b"5;\x00\r\nhello\r\n0\r\n\r\n",
        b"0_5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"11111111111111111\r\n",
    ],
)
def test_what_a_lenient_reader_takes_is_refused(octets: bytes):
    assert decode([octets])[2] == 400


@pytest.mark.parametrize(
    ("octets", "status_code"),
    [(b"a", -1), (b"a\r\n", -1), (b"a\r\n0123456789", -1), (b"b\r\n", 413), (b"5\r\nhello\r\n6\r\n", 413)],
)
def test_content_is_limited_before_its_octets_are_there(octets: bytes, status_code: int):
    assert decode([octets], decoder(ChunkLimits(content=10)))[2] == status_code


@pytest.mark.parametrize(("name", "status_code"), [(14, -1), (15, 400)])
def test_a_chunk_line_is_limited(name: int, status_code: int):
    line = b"1;" + b"a" * name + b"\r\n"
    chunked = decoder(ChunkLimits(content=0, line=18))
    assert decode([line], chunked)[2] == status_code


@pytest.mark.parametrize(("chunks", "status_code"), [(5, -1), (6, 400)])
def test_extensions_are_limited_together(chunks: int, status_code: int):
    chunked = decoder(ChunkLimits(content=0, extensions=10))
    assert decode([b"1;a\r\nx\r\n" * chunks], chunked)[2] == status_code


@pytest.mark.parametrize(("fields", "status_code"), [(3, 0), (4, 431)])
def test_trailer_fields_are_limited_in_number(fields: int, status_code: int):
    assert decode([b"0\r\n" + b"X: y\r\n" * fields + b"\r\n"], decoder(fields=3))[2] == status_code


@pytest.mark.parametrize(("length", "status_code"), [(10, 0), (11, 431)])
def test_a_trailer_field_is_limited_in_length(length: int, status_code: int):
    octets = b"0\r\nX:" + b"y" * (length - 2) + b"\r\n\r\n"
    assert decode([octets], decoder(field_line=10))[2] == status_code
    assert decode((octets[at : at + 1] for at in range(len(octets))), decoder(field_line=10))[2] == status_code


@pytest.mark.parametrize(("fields", "status_code"), [(5, 0), (6, 431)])
def test_the_trailer_section_is_limited_in_length(fields: int, status_code: int):
    assert decode([b"0\r\n" + b"X: y\r\n" * fields + b"\r\n"], decoder(head=30))[2] == status_code


@given(st.sampled_from([b"1;" + b"a" * 9000, b"0\r\nX: " + b"y" * 9000, b"f" * 9000, b"5\r\n" + b"h" * 9000]))
def test_what_is_kept_is_bounded_by_the_longest_line(octets: bytes):
    chunked = decoder()
    buffer = bytearray()
    most = 0
    try:
        for at in range(len(octets)):
            buffer += octets[at : at + 1]
            chunked.decode(buffer, lambda content: None)
            most = max(most, len(buffer))
    except ProtocolError:
        most = max(most, len(buffer))
    assert most <= max(NO_LIMIT.line, HeadLimits().field_line + 2)


def test_each_chunk_costs_one_match(monkeypatch: pytest.MonkeyPatch):
    """Linear work, counted: as many matches of the chunk line as there are lines, and none twice."""
    matches = 0

    class Counting:
        def match(self, buffer: bytearray, position: int):
            nonlocal matches
            matches += 1
            return pattern.match(buffer, position)

    pattern = grammar.CHUNK_LINE
    monkeypatch.setattr(grammar, "CHUNK_LINE", Counting())
    for count in (1000, 2000):
        matches = 0
        assert decode([b"1\r\nx\r\n" * count + LAST_CHUNK])[2] == 0
        assert matches == count + 1


def test_content_that_can_not_be_stored_raises_what_storing_raised():
    """A full disk is an OSError to the caller, whatever of the buffer the failed write still holds."""

    def write(content: memoryview) -> None:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        decoder().decode(bytearray(b"5\r\nhello\r\n0\r\n\r\n"), write)


def test_octets_after_the_body_stay_in_the_buffer():
    chunked = decoder()
    buffer = bytearray(b"1\r\na\r\n0\r\n\r\nGET /")
    assert chunked.decode(buffer, lambda content: None)
    assert buffer == b"GET /"
    assert chunked.state is ChunkState.COMPLETE
