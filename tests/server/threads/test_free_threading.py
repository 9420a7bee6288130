from __future__ import annotations

import gc
import threading
from http import HTTPStatus
from types import ModuleType

import pytest

from ropewalk.threads import free_threading


class Lazy:
    """Finds out what it is when it is asked for its class, as lazy objects of frameworks do."""

    asked = 0

    @property
    def __class__(self) -> type:
        Lazy.asked += 1
        return dict


class Table(dict[object, object]):
    """Iterates in a way of its own."""

    def __iter__(self) -> object:
        raise AssertionError

    keys = __iter__


def test_every_key_but_strings_is_read_by_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    status = HTTPStatus.IM_A_TEAPOT
    table = {status: "short and stout", "a name of the test": 2}
    read: list[tuple[int, list[object]]] = []
    monkeypatch.setattr(free_threading, "_read", lambda keys: read.append((threading.get_ident(), list(keys))))
    count = free_threading.share_keys()
    [(thread, keys)] = read
    assert thread != threading.get_ident()
    assert count == len(keys)
    assert any(key is status for key in keys)
    assert not any(type(key) is str for key in keys)
    assert len(table) == 2


def test_a_plain_table_of_a_module_is_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("of_the_test")
    phrases = module.PHRASES = {10**9: "a number"}
    assert not gc.is_tracked(phrases)
    read: list[list[object]] = []
    monkeypatch.setattr(free_threading, "_read", read.append)
    free_threading.share_keys()
    assert 10**9 in read[0]


def test_sharing_calls_no_code_of_the_application() -> None:
    before = Lazy.asked
    kept = [Lazy(), Table({1: 2})]
    assert free_threading.share_keys()
    assert Lazy.asked == before
    assert kept
