"""Every case through the request reader, without a socket: whole, split in two everywhere, octet by octet, with a next
request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from ropewalk.errors import ProtocolError
from ropewalk.http.chunked import ChunkLimits
from ropewalk.http.head import HeadLimits, RequestHead
from ropewalk.net.body_budget import BodyBudget
from ropewalk.net.request_reader import RequestLimits, RequestReader
from tests.helpers.wire.corpus import Case, Reached, load_corpus

CASES = load_corpus()

# The defaults of --limit-request-body and --body-memory
LIMITS = RequestLimits(HeadLimits(), ChunkLimits(content=100 * 1024**2), 512 * 1024, BodyBudget(0))

Found = tuple[RequestHead, bytes] | int

MANY_OCTETS = 1500
"""Longer cases (the limits) are split near their ends and at every so many octets, not everywhere."""


def receive(pieces: Iterable[bytes]) -> tuple[list[Found], bool]:
    """What comes of the pieces: a head with its content or a status code each, and whether the connection closes."""
    reader = RequestReader(LIMITS)
    found: list[Found] = []
    try:
        for piece in pieces:
            is_whole = reader.feed(piece)
            while is_whole:
                head = reader.head
                assert head is not None
                found.append((head, reader.body.read() if reader.body is not None else b""))
                if not head.is_persistent:
                    return found, True
                reader.reset()
                is_whole = bool(reader.buffer) and reader.feed_buffered()
    except ProtocolError as error:
        found.append(error.status_code)
        return found, True
    finally:
        reader.reset()
    return found, False


def check(case: Case, pieces: Iterable[bytes]) -> None:
    found, is_closed = receive(pieces)
    assert [each if isinstance(each, int) else 200 for each in found] == case.statuses
    assert is_closed == case.closes
    for each, reached in zip(found, case.outcomes, strict=True):
        if isinstance(reached, Reached):
            assert not isinstance(each, int)
            check_request(*each, reached)


def check_request(head: RequestHead, body: bytes, reached: Reached) -> None:
    request = (head.method, head.path, head.query, body.decode("latin-1"))
    assert request == (reached.method, reached.path, reached.query, reached.body)
    fields = {key: value for key, value in reached.environ.items() if key.startswith("HTTP_")}
    assert {key: head.fields.get(key) for key in fields} == fields
    # The transfer coding is known here and gone from the environ.
    assert not head.fields.keys() - {"HTTP_TRANSFER_ENCODING"} & set(reached.absent)


def splits(raw: bytes) -> Iterator[int]:
    if len(raw) <= MANY_OCTETS:
        return iter(range(1, len(raw)))
    near_ends = {*range(1, 60), *range(len(raw) - 60, len(raw))}
    return iter(sorted(near_ends | set(range(1, len(raw), len(raw) // 40))))


def each_with_next(case: Case) -> Iterator[Case]:
    yield case
    if not case.is_incomplete:  # what follows would belong to it
        yield case.with_next()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_whole(case: Case):
    for each in each_with_next(case):
        check(each, [each.raw])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_split_in_two_anywhere(case: Case):
    for each in each_with_next(case):
        for split in splits(each.raw):
            check(each, [each.raw[:split], each.raw[split:]])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_octet_by_octet(case: Case):
    for each in each_with_next(case):
        check(each, [each.raw[at : at + 1] for at in range(len(each.raw))])
