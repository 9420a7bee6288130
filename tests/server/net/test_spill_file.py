"""A temporary file for what a client has not taken: what it counts, and that nobody else gets at it."""

from __future__ import annotations

import errno
import os

import pytest

from ropewalk.net import spill_file
from ropewalk.net.response_budget import ResponseBudget
from ropewalk.net.spill_file import SpillFile


def test_it_has_what_was_appended() -> None:
    budget = ResponseBudget(0, 0)
    spill = SpillFile(budget)
    assert [spill.append(memoryview(part)) for part in (b"one", b"three")] == [0, 3]
    assert os.pread(spill.fd, 100, 0) == b"onethree"
    assert (spill.octets, spill.unsent, budget.file_octets) == (8, 8, 8)
    for _ in range(2):
        spill.close()
    assert budget.file_octets == 0


def test_it_has_no_name_and_no_program_inherits_it() -> None:
    spill = SpillFile(ResponseBudget(0, 0))
    assert os.fstat(spill.fd).st_nlink == 0
    assert not os.get_inheritable(spill.fd)
    spill.close()


def test_what_fails_is_as_if_it_had_not_been_appended(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = ResponseBudget(0, 0)
    spill = SpillFile(budget)
    spill.append(memoryview(b"one"))
    written = []

    def write_some(fd: int, content: memoryview, offset: int) -> int:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(offset)
        return 2

    with monkeypatch.context() as patch:
        patch.setattr(spill_file.os, "pwrite", write_some)
        with pytest.raises(OSError, match="No space"):
            spill.append(memoryview(b"lost"))
    assert (spill.octets, spill.unsent, budget.file_octets) == (3, 3, 3)
    assert spill.append(memoryview(b"two")) == 3
    spill.close()


@pytest.mark.parametrize(("octets", "is_full"), [(9, False), (10, True)])
def test_it_is_full_from_a_size_on(monkeypatch: pytest.MonkeyPatch, octets: int, is_full: bool) -> None:
    monkeypatch.setattr(spill_file, "MAX_OCTETS", 10)
    spill = SpillFile(ResponseBudget(0, 0))
    spill.append(memoryview(bytes(octets)))
    assert spill.is_full is is_full
    spill.close()
