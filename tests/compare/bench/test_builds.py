"""The compiled build that a run measures is of the sources beside it, and its absence has a reason."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import builds, servers

PROGRAM = """#!/usr/bin/env bash
echo "$*" >>"{folder}/calls"
{fails}
{python} - "${{@: -1}}" <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/ropewalk-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("ropewalk/__init__.py", "")
    wheel.writestr("ropewalk/_version.py", "def build(): return 'compiled'")
END
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    compiled = tmp_path / "compiled"
    monkeypatch.setattr(builds, "COMPILED", compiled)
    monkeypatch.setattr(builds, "STAMP", compiled / "made-from")
    monkeypatch.setattr(builds, "FAULT", compiled / "fault")
    monkeypatch.setattr(builds, "COMPILER", tmp_path)
    return tmp_path


def set_compiler(folder: Path, fails: str = "") -> None:
    program = folder / "bin" / "python"
    program.parent.mkdir(exist_ok=True)
    program.write_text(PROGRAM.format(folder=folder, fails=fails, python=sys.executable))
    program.chmod(0o755)


def test_a_build_is_made_once_for_its_sources(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_compiler(folder)
    assert builds.fault() == "it is not compiled"
    builds.compile_server()
    builds.compile_server()
    (call,) = (folder / "calls").read_text().splitlines()
    assert "server/compiled/build_wheel.py --compiled" in call
    assert builds.fault() == ""
    assert builds.build_of(folder / "compiled") == "compiled"
    (folder / "compiled" / "ropewalk" / "old.so").touch()  # of a module that is no longer compiled
    monkeypatch.setattr(builds, "fingerprint", lambda: "of other sources")
    builds.compile_server()
    assert len((folder / "calls").read_text().splitlines()) == 2
    assert {path.name for path in (folder / "compiled" / "ropewalk").iterdir()} == {"__init__.py", "_version.py"}


def test_the_results_say_why_there_is_no_compiled_build(folder: Path) -> None:
    builds.compile_server()
    assert builds.fault() == f"it could not be compiled: {folder}/bin/python: No such file or directory"
    set_compiler(folder, fails="echo 'error: no gcc' >&2; exit 1")
    builds.compile_server()
    assert servers.missing_servers()["ropewalk-compiled"] == "it could not be compiled: error: no gcc"
    set_compiler(folder)
    builds.compile_server()
    assert "ropewalk-compiled" not in servers.missing_servers()


def test_the_fingerprint_is_of_the_sources_and_of_what_builds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert builds.fingerprint() == builds.fingerprint()
    for name in ("ropewalk/a.py", "compiled/modules.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    monkeypatch.setattr(builds, "SERVER", tmp_path)
    found = {builds.fingerprint()}
    for name in ("ropewalk/a.py", "compiled/modules.txt"):
        (tmp_path / name).write_text("changed")
        found.add(builds.fingerprint())
    assert len(found) == 3


def test_the_build_of_this_checkout_is_pure() -> None:
    assert builds.build_of(builds.SERVER) == "pure"
