"""Proves which build of the server is under test: a plugin of pytest, with SERVER_BUILD=compiled or SERVER_BUILD=pure.

With SERVER_BUILD=compiled, each module that is to be compiled must be: otherwise the run would show nothing. Processes
that tests start find the same server, by PYTHONPATH.

A test that replaces something which compiled code never looks up would pass without testing anything: it fails there.
Compiled code calls methods, and functions of compiled modules, without looking them up; and it has `Final` constants in
itself.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

import build_wheel

FOUND_BY_CALLERS = ("method_descriptor", "classmethod_descriptor", "wrapper_descriptor", "builtin_function_or_method")
"""The types of methods and functions of compiled modules; properties are of "getset_descriptor", as attributes are."""


def pytest_sessionstart() -> None:
    expected = os.environ.get("SERVER_BUILD")
    if expected is None:
        return
    for path in build_wheel.modules():
        name = f"ropewalk.{path.removesuffix('.py').replace('/', '.')}"
        module = importlib.import_module(name)
        found = "compiled" if _is_compiled(module) else "pure"
        if found != expected:
            raise pytest.UsageError(f"SERVER_BUILD={expected}, but {name} is {found}: {module.__file__}")
    if expected == "compiled":
        _refuse_ignored_patches()


def pytest_report_header() -> str:
    from ropewalk._version import build

    return f"server: {build()}"


def ignored_patch(target: object, name: str) -> str:
    """Why compiled code would not see `name` of `target` replaced; "" if it would."""
    if isinstance(target, ModuleType):
        return _ignored_global(target, name) if _is_compiled(target) else ""
    for owner in inspect.getmro(target if isinstance(target, type) else type(target)):
        if name in vars(owner) and _is_compiled(sys.modules.get(owner.__module__)):
            value = vars(owner)[name]
            kind = type(value).__name__
            is_attribute = kind == "getset_descriptor" and not isinstance(target, type)
            if kind in FOUND_BY_CALLERS or (kind == "getset_descriptor" and not is_attribute):
                return f"{owner.__module__}.{owner.__qualname__}.{name} is compiled"
            return ""
    return ""


def _ignored_global(module: ModuleType, name: str) -> str:
    value = vars(module).get(name)
    if isinstance(value, type) or type(value).__name__ in FOUND_BY_CALLERS:
        origin = sys.modules.get(getattr(value, "__module__", None) or "")
        return f"{name} is compiled, in {origin.__name__}" if _is_compiled(origin) and origin else ""
    return f"{module.__name__}.{name} is Final" if name in _finals(module) else ""


@functools.cache
def _finals(module: ModuleType) -> frozenset[str]:
    """The constants of a compiled module, by its source, which lies beside it."""
    path = (module.__file__ or "").split(".")[0] + ".py"
    with open(path, encoding="utf-8") as source:
        tree = ast.parse(source.read())
    found = [node for node in tree.body if isinstance(node, ast.AnnAssign) and "Final" in ast.unparse(node.annotation)]
    return frozenset(node.target.id for node in found if isinstance(node.target, ast.Name))


def _is_compiled(module: ModuleType | None) -> bool:
    file = getattr(module, "__file__", None) or ""
    return file.endswith(tuple(EXTENSION_SUFFIXES)) and getattr(module, "__name__", "").startswith("ropewalk.")


def _refuse_ignored_patches() -> None:
    """For `monkeypatch.setattr` and `mock.patch` of this session."""
    set_attribute = pytest.MonkeyPatch.setattr
    patch: Any = mock._patch
    enter = patch.__enter__

    def check(target: object, name: str) -> None:
        reason = ignored_patch(target, name)
        if reason:
            pytest.fail(f"compiled code would not see this patch: {reason}; let the test give it in", pytrace=True)

    @functools.wraps(set_attribute)
    def setattr_checked(self: Any, target: Any, name: Any, *value: Any, **options: Any) -> None:
        if isinstance(target, str):
            module, _, attribute = target.rpartition(".")
            check(sys.modules.get(module), attribute)
        else:
            check(target, name)
        set_attribute(self, target, name, *value, **options)

    def enter_checked(self: Any) -> Any:
        check(self.getter(), self.attribute)
        return enter(self)

    pytest.MonkeyPatch.setattr = setattr_checked  # type: ignore[method-assign]  # for all tests
    patch.__enter__ = enter_checked
