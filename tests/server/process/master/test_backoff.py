from __future__ import annotations

import pytest

from ropewalk.process.master.backoff import FIRST_SECONDS, MOST_SECONDS, Backoff


def test_the_first_worker_need_not_wait() -> None:
    assert Backoff().wait(100.0) == 0.0


def test_each_failure_in_a_row_doubles_the_wait() -> None:
    backoff = Backoff()
    waits = [backoff.fail(100.0) for _ in range(3)]
    assert waits == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert backoff.wait(100.0) == pytest.approx(4 * FIRST_SECONDS)


def test_the_wait_is_bounded_however_often_it_fails() -> None:
    backoff = Backoff()
    assert max(backoff.fail(0.0) for _ in range(2000)) == MOST_SECONDS


def test_a_wait_passes() -> None:
    backoff = Backoff()
    seconds = backoff.fail(100.0)
    assert backoff.wait(100.0 + seconds) == 0.0


def test_after_a_success_a_failure_is_a_first_one() -> None:
    backoff = Backoff()
    backoff.fail(100.0)
    backoff.fail(100.0)
    backoff.succeed()
    assert backoff.wait(100.0) == 0.0
    assert backoff.fail(100.0) == FIRST_SECONDS
