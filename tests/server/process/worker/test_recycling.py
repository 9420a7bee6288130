"""When a worker has done enough."""

from __future__ import annotations

import pytest

from ropewalk.process.worker.recycling import LimitTooLowError, Recycler, RecyclingLimits, resident_bytes

MIB = 1024 * 1024


class Figures:
    """What a worker has served and holds."""

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


def test_a_lifetime_without_limits_is_none() -> None:
    assert not RecyclingLimits()
    assert not RecyclingLimits(max_requests_jitter=5)
    assert RecyclingLimits(max_requests=1)
    assert RecyclingLimits(max_rss=1)


def test_a_worker_that_served_enough_is_to_go(figures: Figures) -> None:
    recycler = figures.recycler(RecyclingLimits(max_requests=100))
    figures.served = 99
    assert recycler.check() == ""
    figures.served = 100
    assert recycler.check() == "it has served 100 requests"


def test_jitter_comes_on_top(figures: Figures) -> None:
    recycler = figures.recycler(RecyclingLimits(max_requests=100, max_requests_jitter=20), picked=7)
    figures.served = 106
    assert recycler.check() == ""
    figures.served = 107
    assert recycler.check() == "it has served 107 requests"


def test_jitter_alone_ends_nothing(figures: Figures) -> None:
    recycler = figures.recycler(RecyclingLimits(max_requests_jitter=20, max_rss=20 * MIB))
    figures.served = 10**6
    assert recycler.check() == ""


def test_a_worker_that_grew_past_its_memory_is_to_go(figures: Figures) -> None:
    recycler = figures.recycler(RecyclingLimits(max_rss=20 * MIB))
    assert recycler.check() == ""
    figures.resident = 20 * MIB
    assert recycler.check() == ""
    figures.resident = 20 * MIB + 1
    assert recycler.check() == "it uses 20 MiB of memory"


def test_memory_that_no_fresh_worker_could_keep_is_reported_once_and_not_limited(figures: Figures) -> None:
    recycler = figures.recycler(RecyclingLimits(max_rss=5 * MIB))
    with pytest.raises(LimitTooLowError, match=r"Ignoring --max-rss \(5 MiB\): .* already uses 10 MiB"):
        recycler.check()
    assert recycler.check() == ""


def test_this_process_holds_some_memory() -> None:
    assert MIB < resident_bytes() < 1024 * 1024 * MIB
