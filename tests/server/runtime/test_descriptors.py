"""The limit of descriptors: raised as far as the connections need and the hard limit allows."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ropewalk.runtime import descriptors
from ropewalk.runtime.descriptors import OTHERS, max_descriptors, raise_limit

INFINITY = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The soft and the hard limit of a process that is not this one."""
    pair = [1024, 4096]

    def set_limit(which: int, limits: tuple[int, int]) -> None:
        pair[:] = limits

    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda which: tuple(pair))
    monkeypatch.setattr(descriptors.resource, "setrlimit", set_limit)
    return pair


@pytest.mark.parametrize(
    ("before", "connections", "after"),
    [
        ((1024, 4096), 100, (1224, 4096)),
        ((1024, 4096), 1536, (4096, 4096)),
        ((1024, 4096), 1537, (4096, 4096)),
        ((1024, INFINITY), 16384, (2 * 16384 + OTHERS, INFINITY)),
        ((20000, 20000), 16384, (20000, 20000)),
        ((100_000, 1_000_000), 16384, (100_000, 1_000_000)),
        ((INFINITY, INFINITY), 16384, (INFINITY, INFINITY)),
    ],
)
def test_it_is_raised_as_far_as_is_needed(
    limits: list[int], before: tuple[int, int], connections: int, after: tuple[int, int]
) -> None:
    limits[:] = before
    raise_limit(connections)
    assert tuple(limits) == after


def test_a_system_that_refuses_is_no_error(limits: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(which: int, limits: tuple[int, int]) -> None:
        raise PermissionError("not permitted")

    monkeypatch.setattr(descriptors.resource, "setrlimit", refuse)
    raise_limit(100)
    assert limits == [1024, 4096]


@pytest.mark.parametrize(("soft", "expected"), [(1024, 1024), (INFINITY, sys.maxsize)])
def test_the_number_of_descriptors(limits: list[int], soft: int, expected: Any) -> None:
    limits[:] = soft, INFINITY
    assert max_descriptors() == expected
