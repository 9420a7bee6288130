"""What the fuzzer calls: each takes any octets, and raises when a promise of the parsers is broken.

The promises: nothing but `ProtocolError` is raised; how octets are split changes neither what is read nor what is
refused; what is kept is bounded by the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ropewalk.errors import ProtocolError
from ropewalk.http.chunked import ChunkedDecoder, ChunkLimits
from ropewalk.http.head import END_OF_HEAD, HeadLimits, HeadScanner, parse_head
from ropewalk.net.body_budget import BodyBudget
from ropewalk.net.request_reader import RequestLimits, RequestReader

# Small, so that the fuzzer meets them.
HEAD_LIMITS = HeadLimits(request_line=80, field_line=80, fields=8, head=300)
CHUNK_LIMITS = ChunkLimits(content=300, line=40, extensions=60)
LIMITS = RequestLimits(HEAD_LIMITS, CHUNK_LIMITS, 100, BodyBudget(0))

HEAD_ATTRIBUTES = (
    *("method", "request_target", "path", "query", "version", "fields", "content_length", "is_persistent"),
    *("expects_continue", "field_text", "is_https_target"),
)
"""Those of a `RequestHead`: a compiled class has no `__slots__` that could be read."""

Found = list[Any]


def pieces_of(data: bytes) -> tuple[bytes, list[bytes]]:
    """The octets to read, and the same in pieces; the first octet decides how long those are."""
    step = data[0] % 32 + 1 if data else 1
    octets = data[1:]
    return octets, [octets[at : at + step] for at in range(0, len(octets), step)]


def same(whole: Found, *others: Found) -> None:
    for other in others:
        if other != whole:
            raise AssertionError(f"in one piece {whole!r}, in several {other!r}")


def head_facts(octets: bytes) -> Found:
    try:
        head = parse_head(octets.decode("latin-1"), HEAD_LIMITS)
    except ProtocolError as error:
        return [error.status_code]
    return [getattr(head, name) for name in HEAD_ATTRIBUTES]


def scanned_head_facts(pieces: Iterable[bytes]) -> Found:
    scanner = HeadScanner(HEAD_LIMITS)
    received = b""
    try:
        for piece in pieces:
            received += piece
            length = scanner.scan(received)
            if length:
                return head_facts(received[: length - 2])
    except ProtocolError as error:
        return [error.status_code]
    return []


def fuzz_head(data: bytes) -> None:
    """`parse_head` in one piece against `HeadScanner` in several."""
    octets, _ = pieces_of(data)
    end = octets.find(END_OF_HEAD)
    if end < 0:
        scanned_head_facts([octets] if octets else [])
        return
    octets = octets[: end + 4]
    _, pieces = pieces_of(data[:1] + octets)
    same(head_facts(octets[: end + 2]), scanned_head_facts([octets]), scanned_head_facts(pieces))


def decoded(pieces: Iterable[bytes]) -> Found:
    decoder = ChunkedDecoder(CHUNK_LIMITS, HEAD_LIMITS)
    content = bytearray()
    buffer = bytearray()
    is_complete = False
    try:
        for piece in pieces:
            buffer += piece
            is_complete = is_complete or decoder.decode(buffer, content.extend)
    except ProtocolError as error:
        return [error.status_code, bytes(content)]
    return [is_complete, bytes(content), bytes(buffer) if is_complete else b""]


def fuzz_chunked(data: bytes) -> None:
    """The chunked decoder in one piece against several."""
    octets, pieces = pieces_of(data)
    same(decoded([octets]), decoded(pieces), decoded(octets[at : at + 1] for at in range(len(octets))))


def received(pieces: Iterable[bytes]) -> Found:
    reader = RequestReader(LIMITS)
    found: Found = []
    try:
        for piece in pieces:
            is_whole = reader.feed(piece)
            while is_whole:
                assert reader.head is not None
                body = reader.body.read() if reader.body is not None else b""
                found.append((reader.head.method, reader.head.path, reader.head.fields, body))
                reader.reset()
                is_whole = bool(reader.buffer) and reader.feed_buffered()
            if len(reader.buffer) > HEAD_LIMITS.head + len(piece):
                raise AssertionError(f"{len(reader.buffer)} octets are kept")
    except ProtocolError as error:
        found.append(error.status_code)
    finally:
        reader.reset()
    return found


def fuzz_request_reader(data: bytes) -> None:
    """Whole connections: requests one after another, in one piece and in several."""
    octets, pieces = pieces_of(data)
    if octets:
        same(received([octets]), received(pieces), received(octets[at : at + 1] for at in range(len(octets))))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "head": fuzz_head,
    "chunked": fuzz_chunked,
    "request_reader": fuzz_request_reader,
}
