"""Virtual environments, created with the interpreter that runs this command."""

import importlib.util
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from kit.console import step
from kit.errors import KitError


def create(folder: Path) -> None:
    """Creates a virtual environment, unless there is one that works."""
    if works(folder):
        return
    if not can_create():
        raise KitError(
            f"{sys.executable} cannot create virtual environments: ensurepip is not installed"
            " (on Debian and Ubuntu: apt-get install python3-venv)"
        )
    step(f"Creating the virtual environment {folder} (Python {platform.python_version()})")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)


def works(folder: Path) -> bool:
    """Whether it has pip and an interpreter that starts: its Python may have been uninstalled."""
    if not (folder / "bin/pip").exists():
        return False
    try:
        return subprocess.run([folder / "bin/python", "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def can_create() -> bool:
    return all(importlib.util.find_spec(name) for name in ("ensurepip", "venv"))
