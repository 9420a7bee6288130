"""Processes and servers that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.helpers.embedded import Talk
from tests.helpers.processes import Running, Starter, wait_end, wait_until


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
def wait_for_end() -> Callable[[int], bool]:
    """`wait_end`, for a process that is not a child."""
    return wait_end


@pytest.fixture
def wait_for() -> Callable[[Callable[[], object], str], None]:
    """`wait_until`, for a condition that nothing announces."""
    return wait_until
