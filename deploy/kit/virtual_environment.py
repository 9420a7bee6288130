"""Virtual environments, created with the interpreter that runs this command."""

import importlib.util
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from kit.console import step
from kit.errors import KitError

IDENTITY = "import os, sys; print(sys.version, os.path.realpath(sys._base_executable))"
"""Prints which interpreter an environment is made of: two may have the same version."""


def create(folder: Path, *, with_pip: bool = True, python: Path | None = None) -> None:
    """Creates a virtual environment, unless there is one that works and is made of that interpreter."""
    if works(folder, with_pip=with_pip, python=python):
        return
    if with_pip and not can_create():
        raise KitError(
            f"{sys.executable} cannot create virtual environments: ensurepip is not installed"
            " (on Debian and Ubuntu: apt-get install python3-venv)"
        )
    version = platform.python_version() if python is None else identity(python).partition(" ")[0]
    step(f"Creating the virtual environment {folder} (Python {version})")
    shutil.rmtree(folder, ignore_errors=True)
    options = [] if with_pip else ["--without-pip"]
    done = subprocess.run([python or sys.executable, "-m", "venv", *options, folder], check=False)
    if done.returncode:
        raise KitError(f"the virtual environment {folder} cannot be created; the reason is above")


def works(folder: Path, *, with_pip: bool = True, python: Path | None = None) -> bool:
    """Whether it is complete, and made of that interpreter, which may be another one than the last time."""
    if with_pip and not (folder / "bin/pip").exists():
        return False
    return identity(folder / "bin/python") == identity(python or Path(sys.executable))


def identity(python: Path) -> str:
    """Version and path of the interpreter that an environment uses; "" if it does not start, or was removed."""
    try:
        done = subprocess.run([python, "-I", "-c", IDENTITY], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def can_create() -> bool:
    return all(importlib.util.find_spec(name) for name in ("ensurepip", "venv"))
