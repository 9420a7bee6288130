from __future__ import annotations

import gc
import os
import sys
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
    if sys.version_info < (3, 14):
        assert not gc.is_tracked(phrases)  # later, a dict always is
    read: list[list[object]] = []
    monkeypatch.setattr(free_threading, "_read", read.append)
    free_threading.share_keys()
    assert 10**9 in read[0]


def test_servers_of_one_process_share_once_and_those_of_a_fork_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shared: list[int] = []
    monkeypatch.setattr(free_threading, "_shared_in", 0)
    monkeypatch.setattr(free_threading, "share_keys", lambda: shared.append(os.getpid()))
    for pid in (7, 7, 8):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        free_threading.share_keys_once()
    assert shared == [7, 8]


def test_sharing_calls_no_code_of_the_application() -> None:
    before = Lazy.asked
    kept = [Lazy(), Table({1: 2})]
    assert free_threading.share_keys()
    assert Lazy.asked == before
    assert kept
