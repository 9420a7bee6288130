from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from ropewalk.process.system import gc_freeze


@pytest.fixture(autouse=True)
def _unfrozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("is_built_without_gil", [False, True])
def test_inherited_objects_are_frozen_once_where_it_costs_less(
    monkeypatch: pytest.MonkeyPatch, is_built_without_gil: bool
) -> None:
    monkeypatch.setattr(gc_freeze, "IS_BUILT_WITHOUT_GIL", is_built_without_gil)
    gc_freeze.freeze_in_master()
    in_the_master = gc.get_freeze_count()
    gc.unfreeze()
    gc_freeze.freeze_in_worker()
    in_the_worker = gc.get_freeze_count()
    assert (in_the_master > 0, in_the_worker > 0) == (is_built_without_gil, not is_built_without_gil)


def test_freezing_leaves_no_thread_before_the_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc_freeze, "IS_BUILT_WITHOUT_GIL", True)
    before = threading.enumerate()
    gc_freeze.freeze_in_master()
    assert threading.enumerate() == before
