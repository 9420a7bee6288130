from __future__ import annotations

import pytest

from ropewalk.threads.controller import (
    CALM_SECONDS,
    FLOWING_INTERVAL,
    MAX_SOLO_SECONDS,
    RESCUE_INTERVAL,
    TUNE_INTERVAL,
    Controller,
    Sample,
)


class Clock:
    """Ticks a controller at its intervals, with measures that the test sets."""

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

    def tick_for(
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
            self.controller.tick(Sample(self.wall, self.finished, is_polled, has_work=True, inside=inside))
        return self.controller.limit


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_limit_starts_at_the_floor(clock: Clock) -> None:
    assert clock.controller.limit == 1


def test_a_computing_application_keeps_one_thread(clock: Clock) -> None:
    assert clock.tick_for(1.0, share=0.99) == 1


def test_each_tick_without_progress_or_a_poll_adds_a_thread(clock: Clock) -> None:
    clock.tick_for(RESCUE_INTERVAL, share=0.0)
    assert clock.tick_for(3 * RESCUE_INTERVAL, share=0.0, finishes=0) == 4


def test_a_thread_that_computes_has_a_while_before_another_is_added(clock: Clock) -> None:
    clock.tick_for(RESCUE_INTERVAL, share=1.0)
    assert clock.tick_for(MAX_SOLO_SECONDS - RESCUE_INTERVAL, share=1.0, finishes=0) == 1
    assert clock.tick_for(RESCUE_INTERVAL, share=1.0, finishes=0) == 2


def test_ticks_are_rare_while_everything_computes_in_long_requests(clock: Clock) -> None:
    clock.tick_for(0.1, share=0.99, finishes=1)
    assert clock.controller.interval == MAX_SOLO_SECONDS
    clock.tick_for(0.1, share=0.99, finishes=4)  # in short ones: a response may wait for the next
    assert clock.controller.interval == RESCUE_INTERVAL
    clock.tick_for(0.1, share=0.99, finishes=1)
    clock.tick_for(0.1, share=0.5, finishes=1)
    assert clock.controller.interval == RESCUE_INTERVAL
    clock.tick_for(0.5, share=0.99, finishes=1)
    clock.controller.reset()
    assert clock.controller.interval == RESCUE_INTERVAL


def test_ticks_are_rarer_once_nothing_has_waited_for_a_while(clock: Clock) -> None:
    clock.tick_for(CALM_SECONDS + 0.1, share=0.99)
    assert clock.controller.interval == FLOWING_INTERVAL
    assert clock.tick_for(FLOWING_INTERVAL, share=0.0, finishes=0) == 2  # the first that waits is noticed at the next
    assert clock.controller.interval == RESCUE_INTERVAL
    clock.tick_for(CALM_SECONDS / 2, share=0.99)
    assert clock.controller.interval == RESCUE_INTERVAL
    clock.tick_for(CALM_SECONDS, share=0.99)
    assert clock.controller.interval == FLOWING_INTERVAL


@pytest.mark.parametrize("share", [0.5, 0.85])
def test_ticks_are_not_rarer_on_a_processor_with_time_to_spare(clock: Clock, share: float) -> None:
    clock.tick_for(2 * CALM_SECONDS, share=0.99)
    clock.tick_for(2 * TUNE_INTERVAL, share=share)
    assert clock.controller.interval == RESCUE_INTERVAL


def test_ticks_are_as_often_as_ever_after_idle_time(clock: Clock) -> None:
    clock.tick_for(2 * CALM_SECONDS, share=0.99)
    clock.controller.reset()
    assert clock.controller.interval == RESCUE_INTERVAL


def test_long_requests_that_begin_to_wait_are_noticed_at_the_next_tick(clock: Clock) -> None:
    clock.tick_for(0.1, share=0.99, finishes=1)
    assert clock.tick_for(MAX_SOLO_SECONDS, share=0.0, finishes=0) == 2
    assert clock.tick_for(3 * RESCUE_INTERVAL, share=0.0, finishes=0) == 5


def test_threads_are_not_measured_while_the_processor_is_full(clock: Clock) -> None:
    clock.tick_for(1.0, share=0.99)
    assert not clock.asked


def test_a_processor_that_others_use_does_not_count_as_waiting(clock: Clock) -> None:
    assert clock.tick_for(1.0, share=0.99, taken=0.6) == 1
    assert clock.tick_for(1.0, share=0.1, taken=0.6) == 17
    assert clock.tick_for(1.0, share=0.99, taken=0.6) == 1


def test_one_thread_that_polls_is_enough(clock: Clock) -> None:
    assert clock.tick_for(1.0, share=0.0, finishes=0, is_polled=True) == 1


def test_a_waiting_application_grows_by_half_up_to_the_ceiling(clock: Clock) -> None:
    assert clock.tick_for(3 * TUNE_INTERVAL, share=0.1) > 1
    assert clock.tick_for(1.0, share=0.1) == 17


def test_a_full_interpreter_shrinks_back(clock: Clock) -> None:
    clock.tick_for(1.0, share=0.1)
    assert clock.tick_for(1.0, share=0.99) == 1


def test_between_the_two_shares_nothing_changes(clock: Clock) -> None:
    clock.tick_for(0.1, share=0.1)
    before = clock.tick_for(2 * TUNE_INTERVAL, share=0.86)  # the first of them began before the share changed
    assert 1 < clock.tick_for(0.5, share=0.86) == before < 17


def test_a_load_that_changes_settles_within_half_a_second(clock: Clock) -> None:
    assert clock.tick_for(0.5, share=0.05, finishes=0) == 17
    assert clock.tick_for(0.5, share=1.0) == 1


def test_idle_time_does_not_count_as_waiting(clock: Clock) -> None:
    clock.tick_for(TUNE_INTERVAL, share=0.99)
    clock.controller.reset()
    clock.wall += 60.0
    assert clock.tick_for(TUNE_INTERVAL, share=0.99) == 1


def test_the_floor_of_several_cores_holds() -> None:
    clock = Clock(floor=4)
    assert clock.tick_for(1.0, share=3.9) == 4
    assert clock.tick_for(1.0, share=0.1) == 17
    assert clock.tick_for(1.0, share=3.9) == 4


def test_a_processor_that_is_free_without_more_work_adds_no_thread() -> None:
    clock = Clock(floor=2)
    assert clock.tick_for(1.0, share=1.2, inside=1) == 2
    assert clock.tick_for(1.0, share=0.1, inside=17) == 17
    assert clock.tick_for(1.0, share=1.2, inside=1) == 2


def test_loads_that_change_on_several_processors_settle_within_half_a_second() -> None:
    clock = Clock(floor=2)
    assert clock.tick_for(0.5, share=0.05, finishes=0) == 17
    assert clock.tick_for(0.5, share=2.0) == 2
    assert clock.tick_for(0.5, share=0.4) == 17
    assert clock.tick_for(0.5, share=1.5, inside=3) == 4


def test_a_held_request_adds_a_thread_at_the_first_tick(clock: Clock) -> None:
    """Something has finished since the last tick, and the request after it sleeps in the application."""
    clock.controller.tick(Sample(0.001, 5, is_polled=False, has_work=True, inside=1))
    clock.controller.tick(Sample(0.002, 9, is_polled=False, has_work=True, inside=1, is_held=True))
    assert clock.controller.limit == 2


def test_a_request_held_by_computing_adds_no_thread(clock: Clock) -> None:
    clock.share = 1.0
    for number in range(200):
        clock.wall += RESCUE_INTERVAL
        clock.cpu = clock.wall
        clock.controller.tick(Sample(clock.wall, number, is_polled=False, has_work=True, inside=1, is_held=True))
    assert clock.controller.limit == 1
