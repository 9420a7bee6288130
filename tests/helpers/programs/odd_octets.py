"""Octets that are nearly requests, for the parsers: `odd_octets.py SEED COUNT` prints what they make of them.

Each case is one of the wire corpus with changes chosen at random. Equal seeds make equal cases. For each case, a line
of JSON: its number, the octets, and what was read or refused as a head with the text of the refusal, as a connection,
and as chunked content.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

from ropewalk.errors import ProtocolError
from ropewalk.http.head import HeadLimits, parse_head
from tests.fuzz.targets import HEAD_ATTRIBUTES, decoded, received
from tests.helpers.wire.corpus import load_corpus

LIMITS = HeadLimits()

MOST = 4000
"""Octets that are kept of a case: more would only test the limits again."""

WORDS = [
    *(b"\0", b"\t", b"\n", b"\r\n", b"\x1c", b"\x85", b"\xff", b" ", b"%00", b"+1", b"-", b"0x5", b"_", b";a=b"),
    *(b"//", b"*", b"[::1]:80", b"http://h/", b"CONNECT a:1", b"OPTIONS *", b" HTTP/1.0\r\n", b"fffffffffffffffff\r\n"),
    *(b"Host: a\r\n", b"Expect: 100-continue\r\n", b"Connection: close, keep-alive\r\n", b"Accept:\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"X-Forwarded-For: a, b\r\n", b'Forwarded: for="[::1]";proto=https\r\n'),
    *(b"Content-Length: %d\r\n" % length for length in (0, 5, 2**63, 2**64)),
]


def changed(octets: bytes, chance: random.Random) -> bytes:
    """The octets, with up to four changes."""
    found = bytearray(octets[:MOST])
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        at = chance.randint(0, len(found))
        kind = chance.choice(["insert", "remove", "replace", "repeat"])
        if kind == "insert":
            found[at:at] = chance.choice(WORDS)
        elif kind == "remove":
            del found[at : at + chance.randint(1, 6)]
        elif kind == "replace":
            found[at : at + 1] = bytes([chance.randrange(256)])
        else:
            start = chance.randint(0, len(found))
            found[at:at] = found[start : start + chance.randint(1, 40)]
    return bytes(found)


def head_of(octets: bytes) -> list[Any]:
    """What is read of the first head, or the refusal."""
    end = octets.find(b"\r\n\r\n")
    try:
        head = parse_head(octets[: end + 2].decode("latin-1"), LIMITS)
    except ProtocolError as error:
        return [str(error)]
    return [getattr(head, name) for name in HEAD_ATTRIBUTES]


def main() -> None:
    seed, count = sys.argv[1:]
    chance = random.Random(seed)
    corpus = load_corpus()
    accepted, all_cases = [case.raw for case in corpus if case.reached], [case.raw for case in corpus]
    for number in range(int(count)):
        octets = changed(chance.choice(chance.choice([accepted, all_cases])), chance)
        step = chance.randint(1, 64)
        pieces = [octets[at : at + step] for at in range(0, len(octets), step)]
        found = [head_of(octets), received(pieces), decoded(pieces)]
        sys.stdout.write(json.dumps([number, octets.decode("latin-1"), repr(found)]) + "\n")


main()
