"""Imports point downwards only: which part of the server may know which other part, and which it must not.

The sources are read, not run, so an import inside a function or for type checkers alone counts too: it is
knowledge all the same.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ropewalk

ROOT = Path(ropewalk.__file__).parent

MAY_IMPORT: dict[str, set[str]] = {
    "_version": set(),
    "errors": set(),
    "selector_epoll": set(),
    "portable": {"selector_epoll"},
    "trusted_files": {"portable"},
    "interruptions": set(),
    "forked": {"portable", "interruptions"},
    "monkey_patches": {"errors"},
    "logs": {"errors", "portable", "trusted_files", "interruptions"},
    "http": {"errors"},
    "net": {"errors", "portable", "trusted_files", "logs", "http"},
    "wsgi": {"_version", "errors", "portable", "interruptions", "forked", "logs", "http", "net"},
    "threads": {"portable", "interruptions", "forked", "logs"},
    "metrics": {"logs"},
    "reloading": set(),
    "process": {"errors", "trusted_files", "forked", "logs", "metrics"},
    # Settings are checked by the parts that they are for.
    "config": {"_version", "errors", "monkey_patches", "logs", "net", "metrics"},
    "control": {"errors", "logs", "http", "metrics", "process"},
    "gunicorn_hooks": {"errors", "logs", "http", "wsgi", "process", "config"},
    "debugging": {"_version", "errors", "logs", "http", "wsgi", "reloading"},
    "runtime": {
        *("reloading", "debugging"),
        *("errors", "logs", "http", "net", "wsgi", "threads", "metrics", "process", "config", "control"),
        *("portable", "interruptions", "forked", "monkey_patches", "gunicorn_hooks"),
    },
    "embedded": {"errors", "monkey_patches", "logs", "net", "wsgi", "process", "config", "runtime"},
    "cli": {
        *("portable", "forked"),
        *("_version", "errors", "logs", "net", "wsgi", "threads", "metrics", "process", "config", "control"),
        *("monkey_patches", "gunicorn_hooks", "runtime"),
    },
    "dev": {"errors", "logs", "net", "wsgi", "config", "debugging", "runtime", "cli", "embedded", "reloading"},
    "files": {"dev"},
    "serving": {"dev"},
    "simple_server": {"dev"},
    "django": {"_version", "errors", "logs", "net", "config", "runtime", "dev"},
    "__init__": {"_version", "embedded", "dev"},
    "__main__": {"cli"},
}
"""What each package or top module may import besides itself, lowest first: only what is above it in this table."""

MUST_NOT_IMPORT: dict[str, set[str]] = {
    "http": {
        *("asyncio", "io", "logging", "multiprocessing", "os", "pathlib", "select", "selectors", "signal"),
        *("socket", "ssl", "subprocess", "tempfile", "threading", "time", "wsgiref"),
    },
    "net": {"multiprocessing", "signal", "subprocess", "wsgiref"},
    "wsgi": {"multiprocessing", "select", "selectors", "signal", "ssl", "subprocess"},
    "threads": {"http", "multiprocessing", "signal", "subprocess", "wsgiref"},
    "process": {"http", "wsgiref"},
}
"""Modules of the standard library that would tell a layer what it must not know."""

IF_INSTALLED: dict[str, set[str]] = {
    "dev": {"cryptography", "werkzeug"},
}
"""Other packages that a layer imports for a feature that needs them, inside functions: nothing else pays for them."""

LOADED_BY: dict[str, set[str]] = {
    "ropewalk.dev.flask_command": {"click", "flask"},
}
"""Modules that nothing but another package imports, by its plugins, and what they may import of it."""

MADE_FOR: dict[str, set[str]] = {
    "django": {"django", "pytest"},
}
"""Other packages without which nobody imports a part: it may import them anywhere."""


def part_of(module: str) -> str:
    """The part of the server that a dotted name is in: `ropewalk.net.listeners.open` is in `net`."""
    return module.split(".")[1] if "." in module else "__init__"


def may_import(part: str, name: str) -> bool:
    """`name` is a dotted name below `ropewalk`."""
    return part_of(name) in {part, *MAY_IMPORT[part]}


def is_part(name: str) -> bool:
    return (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file()


def imports(module: str, source: str) -> Iterator[tuple[int, str]]:
    """The line and the dotted name of every import, the relative ones made absolute."""
    package = module.split(".")
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, each.name) for each in names)
            case ast.ImportFrom(module=name, names=names, level=level):
                if level:
                    name = ".".join([*package[:-level], *([name] if name else [])])
                for each in names:
                    is_submodule = name == "ropewalk" and is_part(each.name)
                    yield node.lineno, f"{name}.{each.name}" if is_submodule else str(name)
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]
            ):
                if called in ("import_module", "__import__"):
                    yield node.lineno, name


def deferred_lines(source: str) -> set[int]:
    """The lines of functions: what is imported there is imported when it is used."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return {line for node in functions for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def violations(module: str, source: str) -> list[str]:
    """What a module imports and must not; `module` is its dotted name, with `.__init__` for a package's own."""
    part = part_of(module)
    if part not in MAY_IMPORT:
        return [f"{module}: {part} has no place among the layers"]
    found = []
    for line, name in imports(module, source):
        top = name.partition(".")[0]
        if top == "ropewalk":
            if not may_import(part, name):
                found.append(f"{module}:{line}: {part} must not know {name}")
        elif top in LOADED_BY.get(module, ()):
            continue
        elif top in IF_INSTALLED.get(part, ()):
            if line not in deferred_lines(source):
                found.append(f"{module}:{line}: {name} is imported whether it is used or not")
        elif top in MADE_FOR.get(part, ()):
            continue
        elif top not in sys.stdlib_module_names:
            found.append(f"{module}:{line}: {name} is not of the standard library")
        elif top in MUST_NOT_IMPORT.get(part, ()):
            found.append(f"{module}:{line}: {part} must not know {name}")
    return found


def module_name(path: Path) -> str:
    return ".".join(("ropewalk", *path.relative_to(ROOT).with_suffix("").parts))


def test_each_layer_imports_only_those_above_it_in_the_table() -> None:
    order = list(MAY_IMPORT)
    assert [name for name in order if not MAY_IMPORT[name] <= set(order[: order.index(name)])] == []


def test_every_row_of_the_table_is_needed() -> None:
    known: dict[str, set[str]] = {part: set() for part in MAY_IMPORT}
    for path in ROOT.rglob("*.py"):
        module = module_name(path)
        for _, name in imports(module, path.read_text()):
            if name.partition(".")[0] == "ropewalk":
                known[part_of(module)].add(part_of(name))
    assert {part: MAY_IMPORT[part] - known[part] for part in MAY_IMPORT if MAY_IMPORT[part] - known[part]} == {}


def test_no_two_modules_import_each_other() -> None:
    """By whichever way, and for type checkers too: what is in a circle can only be understood together."""
    modules = {module_name(path).removesuffix(".__init__"): path for path in ROOT.rglob("*.py")}
    graph = {
        module: {name for _, name in imports(module_name(path), path.read_text()) if name in modules and name != module}
        for module, path in modules.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def test_every_package_that_may_be_installed_is_used() -> None:
    used: dict[str, set[str]] = {part: set() for part in IF_INSTALLED}
    for path in ROOT.rglob("*.py"):
        for _, name in imports(module_name(path), path.read_text()):
            used.get(part_of(module_name(path)), set()).add(name.partition(".")[0])
    assert {part: IF_INSTALLED[part] - used[part] for part in IF_INSTALLED if IF_INSTALLED[part] - used[part]} == {}


def test_no_module_imports_what_another_package_loads() -> None:
    names = {name for path in ROOT.rglob("*.py") for _, name in imports(module_name(path), path.read_text())}
    assert not names & LOADED_BY.keys()


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=module_name)
def test_module_knows_only_what_is_below_it(path: Path) -> None:
    assert violations(module_name(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ropewalk.http.head", "import ropewalk.net.listeners.address"),
        ("ropewalk.http.head", "from ropewalk import wsgi"),
        ("ropewalk.http.head", "from ropewalk.config.settings import Settings"),
        ("ropewalk.http.head", "from ropewalk import __version__"),
        ("ropewalk.http.head", "from .. import net"),
        ("ropewalk.http.__init__", "from ..net import address"),
        ("ropewalk.http.head", "from ..net.address import TcpAddress"),
        ("ropewalk.http.head", "import re, socket"),
        ("ropewalk.http.head", "import os.path"),
        ("ropewalk.http.head", "from time import monotonic"),
        ("ropewalk.http.head", "def f():\n    import threading"),
        ("ropewalk.http.head", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import logging"),
        ("ropewalk.http.head", "import importlib\nimportlib.import_module('ropewalk.net')"),
        ("ropewalk.http.head", "__import__('select')"),
        ("ropewalk.net.connection", "from ropewalk.wsgi.environ import make_environ"),
        ("ropewalk.net.connection", "import ropewalk.process.master.master"),
        ("ropewalk.net.connection", "from ropewalk.threads import pool"),
        ("ropewalk.http.head", "from ropewalk.logs.error_log import get_logger"),
        ("ropewalk.net.connection", "from ropewalk.metrics.counters import Metrics"),
        ("ropewalk.wsgi.environ", "from ropewalk.process.worker.worker import run_worker"),
        ("ropewalk.wsgi.environ", "from ropewalk.threads import pool"),
        ("ropewalk.wsgi.environ", "import select"),
        ("ropewalk.threads.pool", "import ropewalk.http"),
        ("ropewalk.threads.pool", "from ropewalk.wsgi import loader"),
        ("ropewalk.threads.pool", "from ropewalk.net.connection import Connection"),
        ("ropewalk.process.master.master", "from ropewalk.http.head import parse_head"),
        ("ropewalk.process.master.master", "from ropewalk.runtime.service import Service"),
        ("ropewalk.process.master.master", "from ropewalk.cli.main import main"),
        ("ropewalk.errors", "from ropewalk.http import head"),
        ("ropewalk.config.load", "from ropewalk.cli.main import main"),
        ("ropewalk.cli.main", "import h11"),
        ("ropewalk.cli.main", "def f():\n    import cryptography.x509"),
        ("ropewalk.dev.certificate", "import cryptography.x509"),
        ("ropewalk.dev.certificate", "import flask"),
        ("ropewalk.helper", ""),
    ],
)
def test_planted_violation_is_found(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ropewalk.http.head", "import re\nfrom . import grammar\nfrom ropewalk.errors import ProtocolError"),
        ("ropewalk.http.__init__", "from .head import parse_head"),
        ("ropewalk.net.connection", "import socket, select, time\nfrom ropewalk.http.head import parse_head"),
        ("ropewalk.net.connection", "from ropewalk.logs.error_log import get_logger"),
        ("ropewalk.cli.main", "from ropewalk import net, wsgi, threads, process, runtime"),
        ("ropewalk.wsgi.loader", "import importlib\nimportlib.import_module(name)"),
        ("ropewalk.dev.certificate", "def f():\n    import cryptography.x509"),
        ("ropewalk.dev.flask_command", "import flask"),
    ],
)
def test_proper_import_is_no_violation(module: str, source: str) -> None:
    assert violations(module, source) == []
