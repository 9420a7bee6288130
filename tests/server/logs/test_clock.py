"""The time is made once a second, and again in the next one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.logs import clock as module
from ropewalk.logs.clock import Clock


def test_the_time_goes_on_from_second_to_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000_000.0
    monkeypatch.setattr(module.time, "time", lambda: now)
    clock = Clock("%s")
    shown = [clock()]
    now += 0.9
    shown.append(clock())
    now += 0.1
    shown.append(clock())
    assert shown == ["1000000000", "1000000000", "1000000001"]
    assert Clock("%Y-%m-%d")() == time.strftime("%Y-%m-%d", time.localtime(now))


@given(st.lists(st.floats(0, 3) | st.floats(1e9, 1e9 + 3), min_size=1, max_size=9))
def test_the_present_is_written_as_any_moment(moments: list[float]) -> None:
    """Whichever way the clock is set meanwhile."""
    clock = Clock("%s")
    with pytest.MonkeyPatch.context() as patch:
        for now in moments:
            patch.setattr(module.time, "time", lambda now=now: now)
            assert clock() == Clock("%s").at(int(now))
