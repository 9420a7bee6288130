"""The wheels that `make wheel` builds. The compiled one is built, and runs the suite, in `make test-compiled`."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import build_wheel
from tests.helpers.paths import REPOSITORY

PROGRAM = REPOSITORY / "server/compiled/build_wheel.py"


def build(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables}, check=False)


def test_the_pure_wheel_is_for_every_python_and_always_the_same(tmp_path: Path) -> None:
    paths = [Path(build(tmp_path / name).stdout.strip()) for name in ("one", "two")]
    assert [path.name.split("-", 2)[2] for path in paths] == ["py3-none-any.whl"] * 2
    assert paths[0].read_bytes() == paths[1].read_bytes()
    names = zipfile.ZipFile(paths[0]).namelist()
    assert "ropewalk/http/head.py" in names
    assert not [name for name in names if name.endswith(".so") or "/compiled/" in name]


def test_without_a_working_compiler_there_is_an_error_and_no_wheel(tmp_path: Path) -> None:
    done = build("--compiled", tmp_path, CC="false")
    assert done.returncode == 1
    compiling, error = done.stderr.splitlines()
    assert re.fullmatch(r"Compiling \d+ modules for Python 3\.\d+t?: this takes a minute or two\.", compiling)
    assert re.fullmatch(r"build_wheel: error: command '\S*false' failed with exit code 1", error)
    assert not list(tmp_path.iterdir())


def test_a_free_threaded_python_that_mypyc_does_not_know_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: int(name == "Py_GIL_DISABLED"))
    monkeypatch.setattr(sys, "version_info", (3, 13, 5))
    with pytest.raises(build_wheel.BuildError, match=r"free-threaded builds of Python 3\.14 or later"):
        build_wheel.build_compiled(tmp_path)


def test_attributes_that_threads_could_see_half_assigned_are_refused(tmp_path: Path) -> None:
    values = {"name": '("a", 1.0)', "nested": "(1.0, (True, b''))", "plain": "(1.0, True)", "whole": '["a", 1.0]'}
    assigned = "".join(f"        self.{name} = {value}\n" for name, value in values.items())
    (tmp_path / "shop.py").write_text(f"class Till:\n    def __init__(self) -> None:\n{assigned}")
    generate = "from mypyc.build import mypycify; mypycify(['--strict', 'shop.py'])"
    subprocess.run([sys.executable, "-c", generate], cwd=tmp_path, check=True, capture_output=True)
    with pytest.raises(build_wheel.BuildError, match=r"half assigned: shop\.Till\.name, shop\.Till\.nested\. Let"):
        build_wheel.refuse_torn_attributes(tmp_path / "build")


def test_the_modules_to_compile_exist_and_are_in_order() -> None:
    names = build_wheel.modules()
    assert names == sorted(set(names))
    assert [name for name in names if not (REPOSITORY / "server/ropewalk" / name).is_file()] == []


def test_what_waits_for_an_exception_of_another_thread_is_interpreted() -> None:
    """Compiled code never checks for one: a loop that waits for it would end too early."""
    assert not {"interruptions.py", "forked.py"} & set(build_wheel.modules())


def test_mypyc_is_the_mypy_that_checks_the_types() -> None:
    locked = [(REPOSITORY / folder / "requirements.txt").read_text() for folder in ("server/compiled", "tests")]
    versions = [[line.split()[0] for line in text.splitlines() if line.startswith("mypy==")] for text in locked]
    assert versions[0] == versions[1] != []


def compiled_bases(path: Path) -> list[str]:
    """The classes of compiled modules that classes of this module inherit from."""
    tree = ast.parse(path.read_text())
    compiled = {f"ropewalk.{name.removesuffix('.py').replace('/', '.')}" for name in build_wheel.modules()}
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in compiled
        for alias in node.names
    }
    bases = [base for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases]
    names = [base.value if isinstance(base, ast.Subscript) else base for base in bases]
    return [name.id for name in names if isinstance(name, ast.Name) and name.id in imported]


def test_only_compiled_classes_inherit_from_compiled_ones() -> None:
    """An interpreted class that does cannot be created: the module that defines it could not be imported."""
    root = REPOSITORY / "server/ropewalk"
    found = {str(path.relative_to(root)): compiled_bases(path) for path in root.rglob("*.py")}
    inheriting = {name for name, bases in found.items() if bases}
    assert "net/timed_connection.py" in inheriting
    assert inheriting - set(build_wheel.modules()) == set()


def test_compiled_classes_inherit_from_no_class_of_an_extension_module() -> None:
    """mypyc does not know what such an object holds, as `threading.local`, and stores the attributes in its place."""
    trees = [ast.parse((REPOSITORY / "server/ropewalk" / name).read_text()) for name in build_wheel.modules()]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    bases = {ast.unparse(base).partition("[")[0] for node in classes for base in node.bases}
    assert "Exception" in bases
    assert bases - {node.name for node in classes} == {"Enum", "Exception", "Generic", "NamedTuple", "Protocol"}
