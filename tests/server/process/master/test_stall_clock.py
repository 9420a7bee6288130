from __future__ import annotations

from ropewalk.process.master.stall_clock import LATE_SECONDS, StallClock


def test_silence_counts_from_the_end_of_a_stall() -> None:
    clock = StallClock(100.0)
    clock.before_wait(100.0, 5.0)
    clock.after_wait(105.0)
    assert clock.silence(105.0, 101.0) == 4.0
    clock.before_wait(105.0, 5.0)
    clock.after_wait(110.0 + LATE_SECONDS + 1)
    assert clock.silence(120.0, 101.0) == 120.0 - (111.0 + LATE_SECONDS)


def test_turn_of_the_loop_that_takes_long_is_a_stall_as_well() -> None:
    clock = StallClock(100.0)
    clock.before_wait(100.0, None)
    clock.after_wait(500.0)  # an event came; until then there was nothing to do
    assert clock.silence(500.0, 450.0) == 50.0
    clock.before_wait(500.0 + LATE_SECONDS + 1, 1.0)
    assert clock.silence(502.0, 450.0) == 1.0 - LATE_SECONDS + 0.0
