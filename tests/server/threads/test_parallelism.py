from __future__ import annotations

import os
import sys

import pytest

from ropewalk.threads.parallelism import parallel_threads


@pytest.fixture
def _four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 4, 5})


def _gil(monkeypatch: pytest.MonkeyPatch, *, is_enabled: bool) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: is_enabled, raising=False)


@pytest.mark.usefixtures("_four_processors")
def test_under_the_gil_one_thread_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    _gil(monkeypatch, is_enabled=True)
    assert parallel_threads() == 1


@pytest.mark.usefixtures("_four_processors")
def test_an_interpreter_that_cannot_tell_has_a_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys, "_is_gil_enabled", raising=False)
    assert parallel_threads() == 1


@pytest.mark.usefixtures("_four_processors")
def test_without_the_gil_there_are_as_many_as_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    _gil(monkeypatch, is_enabled=False)
    assert parallel_threads() == 4


@pytest.mark.usefixtures("_four_processors")
@pytest.mark.parametrize(("processes", "share"), [(1, 4), (2, 2), (3, 1), (4, 1), (9, 1)])
def test_several_processes_share_them(monkeypatch: pytest.MonkeyPatch, processes: int, share: int) -> None:
    _gil(monkeypatch, is_enabled=False)
    assert parallel_threads(processes) == share
