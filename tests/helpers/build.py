"""Proves which build of the server is under test: a plugin of pytest, with SERVER_BUILD=compiled or SERVER_BUILD=pure.

With SERVER_BUILD=compiled, each module that is to be compiled must be: otherwise the run would show nothing. Processes
that tests start find the same server, by PYTHONPATH.
"""

from __future__ import annotations

import importlib
import os
from importlib.machinery import EXTENSION_SUFFIXES

import pytest

import build_wheel


def pytest_sessionstart() -> None:
    expected = os.environ.get("SERVER_BUILD")
    if expected is None:
        return
    for path in build_wheel.modules():
        name = f"ropewalk.{path.removesuffix('.py').replace('/', '.')}"
        file = importlib.import_module(name).__file__ or ""
        found = "compiled" if file.endswith(tuple(EXTENSION_SUFFIXES)) else "pure"
        if found != expected:
            raise pytest.UsageError(f"SERVER_BUILD={expected}, but {name} is {found}: {file}")


def pytest_report_header() -> str:
    from ropewalk._version import build

    return f"server: {build()}"
