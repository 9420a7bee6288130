"""The time is made once a second, and again in the next one."""

from __future__ import annotations

import time

import pytest

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
