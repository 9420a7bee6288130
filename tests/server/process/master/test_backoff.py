from __future__ import annotations

import pytest

from ropewalk.process.master.backoff import FIRST_SECONDS, MAX_SECONDS, Backoff


def test_first_worker_is_forked_at_once() -> None:
    assert Backoff().seconds_left(100.0) == 0.0


def test_each_failure_in_a_row_doubles_the_wait() -> None:
    backoff = Backoff()
    waits = [backoff.fail(100.0) for _ in range(3)]
    assert waits == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert backoff.seconds_left(100.0) == pytest.approx(4 * FIRST_SECONDS)


def test_wait_is_bounded_however_often_it_fails() -> None:
    backoff = Backoff()
    assert max(backoff.fail(0.0) for _ in range(2000)) == MAX_SECONDS


def test_wait_passes() -> None:
    backoff = Backoff()
    seconds = backoff.fail(100.0)
    assert backoff.seconds_left(100.0 + seconds) == 0.0


def test_failure_after_a_reset_counts_as_a_first_one() -> None:
    backoff = Backoff()
    backoff.fail(100.0)
    backoff.fail(100.0)
    backoff.reset()
    assert backoff.seconds_left(100.0) == 0.0
    assert backoff.fail(100.0) == FIRST_SECONDS
