"""The fuzzer's targets keep their promises on what it starts from: the wire corpus, split in several ways."""

from __future__ import annotations

import pytest

from tests.fuzz.targets import TARGETS
from tests.helpers.wire.corpus import load_corpus

CASES = [case for case in load_corpus() if len(case.raw) <= 1000]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("split", [b"\x00", b"\x03", b"\x10"])
def test_the_corpus_breaks_no_promise(target: str, split: bytes):
    for case in CASES:
        TARGETS[target](split + case.raw)
        TARGETS[target](split + case.raw.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("target", TARGETS)
def test_no_octets_at_all_break_no_promise(target: str):
    TARGETS[target](b"")
    TARGETS[target](b"\x00")
