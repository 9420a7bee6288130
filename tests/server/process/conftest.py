"""Masters that end with the test."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.helpers.fake_master import PROGRAM, FakeMaster
from tests.helpers.processes import Starter


@pytest.fixture
def start_master(start: Starter) -> Callable[..., FakeMaster]:
    """Starts a master with this many workers and these times, in seconds."""

    def start_master(
        workers: int = 1,
        *,
        timeout: float = 0,
        graceful_timeout: float = 15,
        watchdog: float = 0,
        drain_delay: float = 0,
        heartbeat_timeout: float = 0,
        **env: str,
    ) -> FakeMaster:
        numbers = [
            str(number) for number in (workers, timeout, graceful_timeout, watchdog, drain_delay, heartbeat_timeout)
        ]
        return FakeMaster(start(sys.executable, PROGRAM, *numbers, env=env))

    return start_master
