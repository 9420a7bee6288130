"""Monkey patches of gevent and eventlet, found and undone."""

from __future__ import annotations

import socket
import sys
import time
import types

import pytest

from ropewalk.embedded import Server
from ropewalk.errors import ConfigError
from ropewalk.monkey_patches import refuse_monkey_patches, refused_monkey_patches


def patched(library: str) -> types.FunctionType:
    def sleep(seconds: float) -> None:
        """Does not."""

    sleep.__module__ = f"{library}.hub"
    return sleep


@pytest.fixture(params=["gevent", "eventlet"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(sys.modules, request.param, types.ModuleType(request.param))
    return str(request.param)


def test_a_patched_module_is_refused_by_name(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", patched(library))
    with pytest.raises(ConfigError) as caught:
        refuse_monkey_patches("--config", "a.py")
    assert str(caught.value).startswith(f"--config='a.py': {library} has patched time; ")
    with pytest.raises(ConfigError):
        Server(lambda environ, start_response: [])


def test_a_library_that_is_only_imported_is_not_refused(library: str) -> None:
    refuse_monkey_patches("--config", "a.py")


def test_what_others_have_replaced_is_not_refused(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", patched("freezegun"))
    monkeypatch.setattr(socket, "socket", patched("socks"))
    monkeypatch.setattr(socket, "create_connection", patched("gevent_like"))
    refuse_monkey_patches("--config", "a.py")


def test_refused_patches_are_undone(library: str) -> None:
    sleep = time.sleep
    with pytest.raises(ConfigError), refused_monkey_patches("--config", "a.py"):
        time.sleep = patched(library)
    assert time.sleep is sleep
    refuse_monkey_patches("--config", "a.py")
