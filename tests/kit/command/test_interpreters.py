"""deploy/kit/interpreters.py: which Python a project's environment is made of."""

import sys
from pathlib import Path

import pytest

from kit import interpreters
from kit.errors import KitError
from kit.project.python_version import Condition, PythonVersion

HERE = sys.version_info[:3]
OLD = PythonVersion((Condition(("<3.0",), "pyproject.toml", "<3.0"),))
NEW = PythonVersion((Condition((">=3.90",), "pyproject.toml", ">=3.90"),))


def make_python(path, version, level="final"):
    """A program that answers as an interpreter of that version would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version.replace('.', ' ')} {level}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path):
    """A PATH and a pyenv with some interpreters, and their environment."""
    make_python(tmp_path / "bin/python3.90", "3.90.1")
    make_python(tmp_path / "bin/python3.92", "3.92.0", "candidate")
    make_python(tmp_path / "bin/python3.9", "3.9.1")
    make_python(tmp_path / "bin/python3.93-config", "3.93.0")
    (tmp_path / "bin/python3.94").write_text("not a program")
    make_python(tmp_path / "pyenv/versions/3.91.4/bin/python3", "3.91.4")
    make_python(tmp_path / "pyenv/shims/python3.95", "3.95.0")
    path = f"{tmp_path}/pyenv/shims:{tmp_path}/bin:{tmp_path}/nowhere"
    return {"PATH": path, "PYENV_ROOT": f"{tmp_path}/pyenv", "HOME": "/nowhere"}


def test_this_interpreter_is_used_if_it_fits(machine):
    assert interpreters.choose(PythonVersion(), machine) == (Path(sys.executable), HERE)


def test_newest_that_fits_is_used_or_the_one_that_is_wished_for(machine, tmp_path):
    newest = tmp_path / "pyenv/versions/3.91.4/bin/python3"
    assert interpreters.choose(NEW, machine) == (newest, (3, 91, 4))
    wishing = PythonVersion(NEW.conditions, (("3.90", ".python-version"),))
    assert interpreters.choose(wishing, machine) == (tmp_path / "bin/python3.90", (3, 90, 1))


def test_without_one_that_fits_the_error_names_what_is_wanted(machine):
    with pytest.raises(KitError, match=r"^pyproject\.toml wants Python <3\.0, but .* is 3\."):
        interpreters.choose(OLD, machine)
    with pytest.raises(KitError, match=r"^pyproject\.toml wants Python >=3\.90, but "):
        interpreters.choose(NEW, machine | {"PYTHON": "python3"})
