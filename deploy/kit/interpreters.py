"""Other interpreters of this machine, for a project that needs another Python than the one that runs this command."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from kit.errors import KitError
from kit.project.python_version import PythonVersion, Version

LEAST = (3, 11)
"""The server needs it."""

ASK = "import sys, venv; print(*sys.version_info[:3], sys.version_info.releaselevel)"
TIMEOUT = 20  # seconds


def choose(wanted: PythonVersion, environment: Mapping[str, str]) -> tuple[Path, Version]:
    """This interpreter if the project's files allow it, or else another one that they allow.

    The one that they wish for comes first, then the newest. Raises KitError if there is none, or if PYTHON, the
    variable of make, has named this one.
    """
    here = Path(sys.executable), tuple(sys.version_info[:3])
    if is_allowed(wanted, here[1]):
        return here
    fitting = [] if environment.get("PYTHON") else [one for one in others(environment) if is_allowed(wanted, one[1])]
    if not fitting:
        wanted.check(here[1], sys.executable)
    wishes = [tuple(map(int, version.split(".")))[:2] for version, _ in wanted.wishes]
    return max(fitting, key=lambda one: (one[1][:2] in wishes, one[1]))


def is_allowed(wanted: PythonVersion, version: Version) -> bool:
    try:
        wanted.check(version, "")
    except KitError:
        return False
    return True


def others(environment: Mapping[str, str]) -> Iterator[tuple[Path, Version]]:
    """Each `python3.X` in PATH and each of pyenv's that starts and is a release, with its version."""
    seen = set[str]()
    for path in _candidates(environment):
        real = os.path.realpath(path)
        if real not in seen and (version := version_of(path)) and version >= LEAST:
            seen.add(real)
            yield path, version


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    pyenv = Path(environment.get("PYENV_ROOT") or Path(environment.get("HOME", "/")) / ".pyenv")
    yield from sorted(pyenv.glob("versions/3.*/bin/python3"))
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        if folder and folder != str(pyenv / "shims"):  # a shim starts one of those above, or none
            yield from sorted(
                path for path in Path(folder).glob("python3.*") if re.fullmatch(r"python3\.\d+", path.name)
            )


def version_of(python: Path) -> Version | None:
    """None if it does not start, is no release, or cannot make environments."""
    command: list[str | Path] = [python, "-I", "-c", ASK]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    if done.returncode or len(words) != 4 or words[3] != "final":
        return None
    return tuple(map(int, words[:3]))
