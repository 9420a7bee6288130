"""What every test has: plugins that watch it, and processes and servers that end with it."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest

pytest.register_assert_rewrite("tests.helpers")  # before they are imported, so that a failure shows its values

from tests.helpers.embedded import Talk  # noqa: E402
from tests.helpers.processes import Running, Starter, wait_end, wait_until  # noqa: E402

pytest_plugins = ("tests.helpers.build", "tests.helpers.signals", "tests.helpers.machine", "tests.helpers.leaks")

# Properties have no time limit: a busy machine is no fault of what is tested.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture
def talk() -> Iterator[Talk]:
    with ExitStack() as stack:
        yield Talk(stack)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Starts processes in `tmp_path`; a process of theirs that is left at the end fails the test."""
    started: list[Running] = []

    def start(*command: str, cwd: Path = tmp_path, env: Mapping[str, str] | None = None) -> Running:
        running = Running(command, cwd=cwd, env=env or {})
        started.append(running)
        return running

    yield start
    left = [pid for running in started for pid in running.close()]
    assert not left, f"processes outlived their master: {left}"


@pytest.fixture
def no_other_log_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The root logger as pytest has it, although a test before has configured `logging`, as Django's settings do."""
    root = logging.getLogger()
    monkeypatch.setattr(
        root, "handlers", [each for each in root.handlers if type(each).__module__.startswith("_pytest")]
    )


@pytest.fixture
def often_interrupted() -> Iterator[None]:
    """For a test that interrupts a thread again and again: threads take turns often, and nothing is collected.

    A collection calls functions of other packages in whichever thread it happens, and Python drops what they raise.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    sys.setswitchinterval(interval)


@pytest.fixture
def wait_for_end() -> Callable[[int], bool]:
    """`wait_end`, for a process that is not a child."""
    return wait_end


@pytest.fixture
def wait_for() -> Callable[[Callable[[], object], str], None]:
    """`wait_until`, for a condition that nothing announces."""
    return wait_until
