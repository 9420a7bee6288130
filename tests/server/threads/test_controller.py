from __future__ import annotations

import pytest

from ropewalk.threads.controller import PATIENCE, RESCUE_INTERVAL, TUNE_INTERVAL, Controller, Sample


class Clock:
    """Feeds a controller with looks, a rescue interval apart, and measures what the test says."""

    def __init__(self, floor: int = 1) -> None:
        self.controller = Controller(floor, 17, self)
        self.wall = self.work = self.cpu = 0.0
        self.finished = 0
        self.share = 0.0
        self.asked = 0

    def cpu_seconds(self) -> float:
        return self.cpu

    def work_seconds(self) -> float:
        self.asked += 1
        return self.work

    def is_working(self) -> bool:
        return self.share >= 0.5

    def looks(
        self,
        seconds: float,
        *,
        share: float,
        finishes: float = 4,
        is_polled: bool = False,
        taken: float = 0.0,
        inside: int = 17,
    ) -> int:
        """Let `seconds` pass with this share of work and so many requests finished in 2 ms; the limit then.

        `taken` is the share of the work that other processes keep from running.
        """
        self.share = share
        end, finished = self.wall + seconds, float(self.finished)
        while self.wall < end - 1e-9:
            interval = self.controller.interval
            self.wall += interval
            self.work += interval * share
            self.cpu += interval * share * (1 - taken)
            finished += finishes * interval / 0.002
            self.finished = int(finished + 1e-6)
            self.controller.look(Sample(self.wall, self.finished, is_polled, has_work=True, inside=inside))
        return self.controller.limit


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_starts_at_the_floor(clock: Clock) -> None:
    assert clock.controller.limit == 1


def test_a_computing_application_keeps_one_thread(clock: Clock) -> None:
    assert clock.looks(1.0, share=0.99) == 1


def test_nothing_finished_and_nobody_polls_calls_one_more_at_each_look(clock: Clock) -> None:
    clock.looks(RESCUE_INTERVAL, share=0.0)
    assert clock.looks(3 * RESCUE_INTERVAL, share=0.0, finishes=0) == 4


def test_a_thread_that_computes_is_given_patience_before_another_is_called(clock: Clock) -> None:
    clock.looks(RESCUE_INTERVAL, share=1.0)
    assert clock.looks(PATIENCE - RESCUE_INTERVAL, share=1.0, finishes=0) == 1
    assert clock.looks(RESCUE_INTERVAL, share=1.0, finishes=0) == 2


def test_looks_are_rare_while_all_is_computing_in_long_requests(clock: Clock) -> None:
    clock.looks(0.1, share=0.99, finishes=1)
    assert clock.controller.interval == PATIENCE
    clock.looks(0.1, share=0.99, finishes=4)  # in short ones: an answer may wait for the next
    assert clock.controller.interval == RESCUE_INTERVAL
    clock.looks(0.1, share=0.99, finishes=1)
    clock.looks(0.1, share=0.5, finishes=1)
    assert clock.controller.interval == RESCUE_INTERVAL
    clock.looks(0.5, share=0.99, finishes=1)
    clock.controller.rest()
    assert clock.controller.interval == RESCUE_INTERVAL


def test_long_requests_that_begin_to_wait_are_found_at_the_next_look(clock: Clock) -> None:
    clock.looks(0.1, share=0.99, finishes=1)
    assert clock.looks(PATIENCE, share=0.0, finishes=0) == 2
    assert clock.looks(3 * RESCUE_INTERVAL, share=0.0, finishes=0) == 5


def test_threads_are_not_looked_at_while_the_processor_is_full(clock: Clock) -> None:
    clock.looks(1.0, share=0.99)
    assert not clock.asked


def test_a_processor_that_others_take_is_not_taken_for_waiting(clock: Clock) -> None:
    assert clock.looks(1.0, share=0.99, taken=0.6) == 1
    assert clock.looks(1.0, share=0.1, taken=0.6) == 17
    assert clock.looks(1.0, share=0.99, taken=0.6) == 1


def test_somebody_who_polls_is_enough(clock: Clock) -> None:
    assert clock.looks(1.0, share=0.0, finishes=0, is_polled=True) == 1


def test_a_waiting_application_grows_by_half_up_to_the_ceiling(clock: Clock) -> None:
    assert clock.looks(3 * TUNE_INTERVAL, share=0.1) > 1
    assert clock.looks(1.0, share=0.1) == 17


def test_a_full_interpreter_shrinks_back(clock: Clock) -> None:
    clock.looks(1.0, share=0.1)
    assert clock.looks(1.0, share=0.99) == 1


def test_between_the_two_shares_nothing_changes(clock: Clock) -> None:
    clock.looks(0.1, share=0.1)
    before = clock.looks(2 * TUNE_INTERVAL, share=0.86)  # the first of them began before the share changed
    assert 1 < clock.looks(0.5, share=0.86) == before < 17


def test_a_load_that_changes_settles_within_half_a_second(clock: Clock) -> None:
    assert clock.looks(0.5, share=0.05, finishes=0) == 17
    assert clock.looks(0.5, share=1.0) == 1


def test_idle_time_is_not_taken_for_waiting(clock: Clock) -> None:
    clock.looks(TUNE_INTERVAL, share=0.99)
    clock.controller.rest()
    clock.wall += 60.0
    assert clock.looks(TUNE_INTERVAL, share=0.99) == 1


def test_the_floor_of_several_cores_holds() -> None:
    clock = Clock(floor=4)
    assert clock.looks(1.0, share=3.9) == 4
    assert clock.looks(1.0, share=0.1) == 17
    assert clock.looks(1.0, share=3.9) == 4


def test_a_processor_that_is_free_for_want_of_work_calls_nobody() -> None:
    clock = Clock(floor=2)
    assert clock.looks(1.0, share=1.2, inside=1) == 2
    assert clock.looks(1.0, share=0.1, inside=17) == 17
    assert clock.looks(1.0, share=1.2, inside=1) == 2


def test_loads_that_change_on_several_processors_settle_within_half_a_second() -> None:
    clock = Clock(floor=2)
    assert clock.looks(0.5, share=0.05, finishes=0) == 17
    assert clock.looks(0.5, share=2.0) == 2
    assert clock.looks(0.5, share=0.4) == 17
    assert clock.looks(0.5, share=1.5, inside=3) == 4


def test_what_is_held_calls_one_more_at_the_first_look(clock: Clock) -> None:
    """Something has finished since the last look, and behind it a request sleeps in the application."""
    clock.controller.look(Sample(0.001, 5, is_polled=False, has_work=True, inside=1))
    clock.controller.look(Sample(0.002, 9, is_polled=False, has_work=True, inside=1, is_held=True))
    assert clock.controller.limit == 2


def test_what_is_held_by_computing_is_given_patience(clock: Clock) -> None:
    clock.share = 1.0
    for number in range(200):
        clock.wall += RESCUE_INTERVAL
        clock.cpu = clock.wall
        clock.controller.look(Sample(clock.wall, number, is_polled=False, has_work=True, inside=1, is_held=True))
    assert clock.controller.limit == 1
