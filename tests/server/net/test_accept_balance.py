from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

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
    """Workers that share one `SharedCounts`, all in this process, and what each has."""

    def __init__(self, *has: int) -> None:
        self.shared_counts = SharedCounts()
        self.shared_counts.words[0] = len(has)
        self.has = list(has)
        self.slots = [
            WorkerSlot(self.shared_counts, (i + 1) * SLOT_WORDS, lambda i=i: self.has[i]) for i in range(len(has))
        ]  # type: ignore[misc]

    def whose(self) -> list[int]:
        """Who may take the next connection."""
        return [index for index, slot in enumerate(self.slots) if slot.should_accept()]

    def take(self, index: int, count: int = 1) -> None:
        for _ in range(count):
            self.has[index] += 1
            self.slots[index].count_accepted()

    def end(self, index: int, count: int = 1) -> None:
        self.has[index] -= count
        self.slots[index].publish()


@pytest.fixture
def crews(clock: Clock) -> Iterator[type[Workers]]:
    made: list[Workers] = []

    class Kept(Workers):
        def __init__(self, *has: int) -> None:
            super().__init__(*has)
            made.append(self)

    yield Kept
    for crew in made:
        crew.shared_counts.close()


def test_single_worker_takes_every_connection(crews: type[Workers]) -> None:
    crew = crews(10_000)
    crew.take(0, 100)
    assert crew.whose() == [0]


def test_equals_may_all_take_one(crews: type[Workers]) -> None:
    assert crews(3, 3, 3).whose() == [0, 1, 2]


def test_few_connections_are_shared_out_exactly(crews: type[Workers]) -> None:
    crew = crews(0, 0, 0, 0)
    for _ in range(12):
        crew.take(crew.whose()[0])
    assert crew.has == [3, 3, 3, 3]


def test_of_many_an_eighth_more_is_even(crews: type[Workers]) -> None:
    assert crews(88, 100).whose() == [0, 1]
    assert crews(87, 100).whose() == [0]


def test_short_connections_are_shared_out_too(crews: type[Workers]) -> None:
    crew = crews(0, 0)
    for _ in range(ACCEPTED_A_SHARE):
        crew.take(0)
        crew.end(0)
    assert crew.whose() == [1]


def test_open_connection_does_not_keep_its_worker_from_short_ones(crews: type[Workers]) -> None:
    crew = crews(0, 0)
    crew.take(0)
    taken = [0, 0]
    for _ in range(200):
        index = crew.whose()[-1]
        crew.take(index)
        crew.end(index)
        taken[index] += 1
    assert max(taken) <= 1.3 * 100


def test_some_worker_may_always_accept(crews: type[Workers]) -> None:
    """Whatever each has and took: there are never two of which each leaves it to the other."""
    for open_ in range(0, 40, 4):
        for taken in range(0, 300, 30):
            crew = crews(open_, 20)
            crew.slots[0]._accepted, crew.slots[0]._second = taken, 100
            crew.slots[0].count_accepted()
            crew.slots[1].count_accepted()
            assert crew.whose(), (open_, taken)


def test_what_was_accepted_counts_for_a_second(crews: type[Workers], clock: Clock) -> None:
    crew = crews(0, 0)
    crew.take(0, 50)
    crew.end(0, 50)
    assert crew.whose() == [1]
    clock.now += 1
    assert crew.whose() == [0, 1]


def test_unresponsive_worker_is_waited_for_once(crews: type[Workers]) -> None:
    crew = crews(5, 0)
    assert crew.whose() == [1]
    crew.slots[0].mark_unresponsive()
    assert crew.whose() == [0, 1]
    crew.slots[1].heartbeat()
    assert crew.whose() == [1]


def _in_a_child(shared_counts: SharedCounts) -> tuple[int, int]:
    """Fork a process that enters; its process id, and its line."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        slot = shared_counts.claim_slot(lambda: 0)
        os.write(writing, bytes([0 if slot is None else slot._base // SLOT_WORDS]))
        signal.pause()
    os.close(writing)
    with open(reading, "rb") as pipe:
        return pid, pipe.read(1)[0]


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_each_process_has_a_line_which_goes_with_it() -> None:
    shared_counts = SharedCounts()
    first, second = _in_a_child(shared_counts), _in_a_child(shared_counts)
    try:
        assert (first[1], second[1], shared_counts.words[0]) == (1, 2, 2)
        _end(first[0])
        first = _in_a_child(shared_counts)
        assert (first[1], shared_counts.words[0]) == (1, 2)
    finally:
        _end(first[0])
        _end(second[0])
        shared_counts.close()


def test_when_all_lines_are_taken_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SLOTS", 1)
    assert MAX_SLOTS > 200
    shared_counts = SharedCounts()
    first, second = _in_a_child(shared_counts), _in_a_child(shared_counts)
    _end(first[0])
    _end(second[0])
    shared_counts.close()
    assert (first[1], second[1]) == (1, 0)
