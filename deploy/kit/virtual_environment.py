"""Virtual environments, made with the interpreter that runs this command."""

import importlib.util
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from kit.console import step
from kit.errors import KitError


def make(folder: Path) -> None:
    """Makes a virtual environment, unless there is one that works."""
    if works(folder):
        return
    if not can_make():
        raise KitError(
            f"{sys.executable} cannot make virtual environments: ensurepip is not installed"
            " (on Debian and Ubuntu: apt-get install python3-venv)"
        )
    step(f"Making the virtual environment {folder} (Python {platform.python_version()})")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)


def works(folder: Path) -> bool:
    """Whether it has pip, and an interpreter that starts: the one that it was made with may be gone."""
    if not (folder / "bin/pip").exists():
        return False
    try:
        return subprocess.run([folder / "bin/python", "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def can_make() -> bool:
    return all(importlib.util.find_spec(name) for name in ("ensurepip", "venv"))
