"""Which worker takes the next connection, by what each has; and how a process claims its slot."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.net import accept_balance as module
from ropewalk.net.accept_balance import ACCEPTED_A_SHARE, MAX_SLOTS, SLOT_WORDS, SharedCounts, WorkerSlot


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


class Workers:
    """Workers that share one `SharedCounts`, all in this process, and how many connections each has."""

    def __init__(self, *counts: int) -> None:
        self.shared_counts = SharedCounts()
        self.shared_counts.words[0] = len(counts)
        self.counts = list(counts)
        self.slots = [self._slot(index) for index in range(len(counts))]

    def _slot(self, index: int) -> WorkerSlot:
        return WorkerSlot(self.shared_counts, (index + 1) * SLOT_WORDS, lambda: self.counts[index])

    def ready(self) -> list[int]:
        """Which workers would accept the next connection."""
        return [index for index, slot in enumerate(self.slots) if slot.should_accept()]

    def accept(self, index: int, count: int = 1) -> None:
        for _ in range(count):
            self.counts[index] += 1
            self.slots[index].count_accepted()

    def close_connections(self, index: int, count: int = 1) -> None:
        self.counts[index] -= count
        self.slots[index].publish()


@pytest.fixture
def make_workers(clock: Clock) -> Iterator[type[Workers]]:
    made: list[Workers] = []

    class Kept(Workers):
        def __init__(self, *counts: int) -> None:
            super().__init__(*counts)
            made.append(self)

    yield Kept
    for workers in made:
        workers.shared_counts.close()


@given(st.integers(0, 2**31), st.integers(0, 1000))
def test_one_worker_accepts_everything(open_connections: int, accepted: int) -> None:
    workers = Workers(open_connections)
    try:
        workers.slots[0]._accepted = accepted
        assert workers.slots[0]._less_loaded(1) == {}
        assert workers.ready() == [0]
    finally:
        workers.shared_counts.close()


def test_workers_with_equal_counts_may_all_accept(make_workers: type[Workers]) -> None:
    assert make_workers(3, 3, 3).ready() == [0, 1, 2]


def test_few_connections_are_spread_exactly(make_workers: type[Workers]) -> None:
    workers = make_workers(0, 0, 0, 0)
    for _ in range(12):
        workers.accept(workers.ready()[0])
    assert workers.counts == [3, 3, 3, 3]


def test_an_eighth_more_of_many_counts_as_even(make_workers: type[Workers]) -> None:
    assert make_workers(88, 100).ready() == [0, 1]
    assert make_workers(87, 100).ready() == [0]


def test_short_connections_are_spread_too(make_workers: type[Workers]) -> None:
    workers = make_workers(0, 0)
    for _ in range(ACCEPTED_A_SHARE):
        workers.accept(0)
        workers.close_connections(0)
    assert workers.ready() == [1]


def test_an_open_connection_does_not_keep_its_worker_from_short_ones(make_workers: type[Workers]) -> None:
    workers = make_workers(0, 0)
    workers.accept(0)
    accepted = [0, 0]
    for _ in range(200):
        index = workers.ready()[-1]
        workers.accept(index)
        workers.close_connections(index)
        accepted[index] += 1
    assert max(accepted) <= 1.3 * 100


def test_some_worker_may_always_accept(make_workers: type[Workers]) -> None:
    """Whatever each has and accepted: no two workers leave a connection to each other."""
    for open_connections in range(0, 40, 4):
        for accepted in range(0, 300, 30):
            workers = make_workers(open_connections, 20)
            workers.slots[0]._accepted, workers.slots[0]._second = accepted, 100
            workers.slots[0].count_accepted()
            workers.slots[1].count_accepted()
            assert workers.ready(), (open_connections, accepted)


def test_accepted_connections_count_for_a_second(make_workers: type[Workers], clock: Clock) -> None:
    workers = make_workers(0, 0)
    workers.accept(0, 50)
    workers.close_connections(0, 50)
    assert workers.ready() == [1]
    clock.now += 1
    assert workers.ready() == [0, 1]


def test_a_worker_that_does_not_respond_is_deferred_to_once(make_workers: type[Workers]) -> None:
    workers = make_workers(5, 0)
    assert workers.ready() == [1]
    workers.slots[0].mark_unresponsive()
    assert workers.ready() == [0, 1]
    workers.slots[1].heartbeat()
    assert workers.ready() == [1]


def _claim_in_a_child(shared_counts: SharedCounts) -> tuple[int, int]:
    """Fork a process that claims a slot; its process id, and the slot's number, 0 for none."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        slot = shared_counts.claim_slot(lambda: 0)
        os.write(writing, bytes([0 if slot is None else slot._base // SLOT_WORDS]))
        signal.pause()
    os.close(writing)
    with open(reading, "rb") as pipe:
        return pid, pipe.read(1)[0]


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_slot_is_free_again_when_its_process_ends() -> None:
    shared_counts = SharedCounts()
    first, second = _claim_in_a_child(shared_counts), _claim_in_a_child(shared_counts)
    try:
        assert (first[1], second[1], shared_counts.words[0]) == (1, 2, 2)
        _kill(first[0])
        first = _claim_in_a_child(shared_counts)
        assert (first[1], shared_counts.words[0]) == (1, 2)
    finally:
        _kill(first[0])
        _kill(second[0])
        shared_counts.close()


def test_when_all_slots_are_claimed_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SLOTS", 1)
    assert MAX_SLOTS > 200
    shared_counts = SharedCounts()
    first, second = _claim_in_a_child(shared_counts), _claim_in_a_child(shared_counts)
    _kill(first[0])
    _kill(second[0])
    shared_counts.close()
    assert (first[1], second[1]) == (1, 0)
