"""A test that leaves a thread, a descriptor or a child process behind fails: a plugin of pytest.

What is there before a test's set-up is compared with what is there after its tear-down. What a fixture of a wider
scope than the test holds is that fixture's: while one holds something, nothing is judged, and when the last of
them has ended, everything since is judged at once. Threads and processes are given time to end, so only what would
have stayed is a leak. What only a reference cycle still holds is collected when the test ends, so that an unclosed
socket's ResourceWarning, an error here, fails the test that left it and not the one that runs when the collector does.
Works in each process of pytest-xdist for itself.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

PATIENCE = 10.0
"""Seconds for what is ending to end; spent only by a test that fails, or that ends while something still does."""


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Leaks())


@dataclass(frozen=True, slots=True)
class Held:
    """What this process has, by the names under which a person would look for it."""

    threads: frozenset[threading.Thread]
    descriptors: frozenset[str]
    children: frozenset[str]

    @classmethod
    def now(cls) -> Held:
        return cls(
            frozenset(thread for thread in threading.enumerate() if thread.is_alive()), _descriptors(), _children()
        )

    def since(self, earlier: Held) -> list[str]:
        """What was not there earlier."""
        return [
            *(f"the thread {thread.name}" for thread in self.threads - earlier.threads),
            *(f"the descriptor {descriptor}" for descriptor in self.descriptors - earlier.descriptors),
            *(f"the child process {child}" for child in self.children - earlier.children),
        ]


def _descriptors() -> frozenset[str]:
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{descriptor} ({os.readlink(f'/proc/self/fd/{descriptor}')})")
        except FileNotFoundError:  # the one that listed the others
            continue
    return frozenset(found)


def _children() -> frozenset[str]:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # which leaves every child to be waited for
    except ChildProcessError:
        return frozenset()  # and so it is nearly always, without a look at every process
    return frozenset(_described_children())


def _described_children() -> Generator[str]:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
            with open(f"/proc/{pid}/cmdline") as file:
                command = file.read().replace("\0", " ").strip()
        except OSError:  # it has just ended, and been waited for
            continue
        if int(parent) == os.getpid():
            yield f"{pid} ({'ended, and was not waited for' if state == 'Z' else command})"


def _collect_unclosed() -> list[str]:
    """Close what only a reference cycle holds; what complained of being closed so late, or of anything else."""
    complaints: list[str] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: complaints.append(repr(unraisable.exc_value))
    try:
        gc.collect()
    finally:
        sys.unraisablehook = before
    return complaints


class Leaks:
    """The plugin. Only the thread that runs the tests calls it."""

    def __init__(self) -> None:
        self._before = Held.now()
        self._before_this_test = self._before
        self._holding: set[pytest.FixtureDef[Any]] = set()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        self._before_this_test = Held.now()
        if not self._holding:
            self._before = self._before_this_test
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        before = Held.now()
        result = yield
        if Held.now().since(before):
            self._holding.add(fixturedef)
        return result

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        self._holding.discard(fixturedef)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        result = yield
        now = Held.now()
        is_suspect = now.since(self._before_this_test) or (not self._holding and now.since(self._before))
        left = _collect_unclosed() if is_suspect else []
        if not self._holding:
            left += self._wait_for_the_end()
        if left:
            pytest.fail(f"left behind: {', '.join(sorted(left))}", pytrace=False)
        return result

    def _wait_for_the_end(self) -> list[str]:
        """What still is there when patience is over; at once the empty list when nothing is."""
        deadline = time.monotonic() + PATIENCE
        pause = threading.Event()
        while (left := Held.now().since(self._before)) and time.monotonic() < deadline:
            pause.wait(0.01)
        return left
