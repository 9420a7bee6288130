"""When a worker is to be replaced."""

from __future__ import annotations

import pytest

from ropewalk.process.worker.recycling import LimitTooLowError, Recycler, RecyclingLimits, resident_bytes

MIB = 1024 * 1024


class Figures:
    """How much a worker has served and uses."""

    def __init__(self) -> None:
        self.served = 0
        self.resident = 10 * MIB

    def recycler(self, limits: RecyclingLimits, picked: int = 0) -> Recycler:
        return Recycler(
            limits, lambda: self.served, resident=lambda: self.resident, random=lambda low, high: low + picked
        )


@pytest.fixture
def figures() -> Figures:
    return Figures()


def test_limits_are_true_if_there_is_one() -> None:
    assert not RecyclingLimits()
    assert not RecyclingLimits(max_requests_jitter=5)
    assert RecyclingLimits(max_requests=1)
    assert RecyclingLimits(max_rss=1)


def test_worker_that_has_served_enough_is_replaced(figures: Figures) -> None:
    recycler = figures.recycler(RecyclingLimits(max_requests=100))
    figures.served = 99
    assert recycler.check() == ""
    figures.served = 100
    assert recycler.check() == "it has served 100 requests"


def test_jitter_is_added_to_the_limit(figures: Figures) -> None:
    recycler = figures.recycler(RecyclingLimits(max_requests=100, max_requests_jitter=20), picked=7)
    figures.served = 106
    assert recycler.check() == ""
    figures.served = 107
    assert recycler.check() == "it has served 107 requests"


def test_jitter_alone_is_no_limit(figures: Figures) -> None:
    recycler = figures.recycler(RecyclingLimits(max_requests_jitter=20, max_rss=20 * MIB))
    figures.served = 10**6
    assert recycler.check() == ""


def test_worker_that_uses_too_much_memory_is_replaced(figures: Figures) -> None:
    recycler = figures.recycler(RecyclingLimits(max_rss=20 * MIB))
    assert recycler.check() == ""
    figures.resident = 20 * MIB
    assert recycler.check() == ""
    figures.resident = 20 * MIB + 1
    assert recycler.check() == "it uses 20 MiB of memory"


def test_memory_limit_below_a_fresh_worker_is_reported_once_and_ignored(figures: Figures) -> None:
    recycler = figures.recycler(RecyclingLimits(max_rss=5 * MIB))
    with pytest.raises(LimitTooLowError, match=r"Ignoring --max-rss \(5 MiB\): .* already uses 10 MiB"):
        recycler.check()
    assert recycler.check() == ""


def test_this_process_uses_some_memory() -> None:
    assert MIB < resident_bytes() < 1024 * 1024 * MIB
