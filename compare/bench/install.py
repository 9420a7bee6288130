"""Installs the servers to compare into this interpreter's environment, each on its own: `python -m bench.install`.

Some must be compiled, which not every machine can do. A server that cannot be installed is recorded with the reason,
and the results list it as missing. pip checks everything against the hashes in requirements.txt. What compiles Ropewalk
itself (bench/builds.py) goes into an environment of its own, with the versions that server/compiled pins.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

COMPARE = Path(__file__).resolve().parent.parent
LOCK = COMPARE / "requirements.txt"
COMPILER_LOCK = COMPARE.parent / "server" / "compiled" / "requirements.txt"
COMPILER = Path(sys.prefix, "wheel")  # the environment in which Ropewalk's wheel is built
BUILD_TOOLS = ("setuptools", "packaging", "wheel")
REQUIRED = ("django", "flask", "whitenoise", "gunicorn", "matplotlib")
OPTIONAL = ("gunicorn-h1c", "waitress", "cheroot", "granian", "uwsgi", "bjoern", "fastpysgi", "werkzeug", "py-spy")
HINTS = {"bjoern": "needs libev to compile: apt-get install gcc python3-dev libev-dev"}
ERROR = re.compile(r"error|fatal", re.IGNORECASE)


def read_lock(text: str) -> dict[str, tuple[str, set[str]]]:
    """Parse a lock file: by name, the requirement with its hashes, and the names of the packages that require it.

    A package with a version for each range of Pythons has several requirements, one below the other.
    """
    found: dict[str, tuple[str, set[str]]] = {}
    for block in re.split(r"\n(?=[^\s#])", text.strip()):
        lines = block.splitlines()
        requirement = "\n".join(line for line in lines if not line.strip().startswith("#"))
        comments = " ".join(line.strip("# ") for line in lines if line.strip().startswith("#"))
        names = {word for word in comments.removeprefix("via").split() if re.fullmatch(r"[a-z0-9-]+", word)}
        package = re.split(r"[=\s\[]", requirement, maxsplit=1)[0]
        earlier, via = found.get(package, ("", set()))
        found[package] = f"{earlier}\n{requirement}".strip(), via | names - {"r"}
    return found


def with_dependencies(name: str, lock: dict[str, tuple[str, set[str]]]) -> list[str]:
    """`name` and the names of all its dependencies."""
    wanted = [name]
    for package in wanted:
        wanted.extend(other for other, (_, via) in lock.items() if package in via and other not in wanted)
    return wanted


def install(names: list[str], lock: dict[str, tuple[str, set[str]]]) -> str:
    """Install packages with their dependencies; return the reason of a failure, or an empty string."""
    wanted = dict.fromkeys(package for name in names for package in with_dependencies(name, lock))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lock[name][0] for name in wanted) + "\n")
        file.flush()
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--require-hashes", "--no-deps", "--no-build-isolation", "--requirement", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return reason_of(done)


def reason_of(done: subprocess.CompletedProcess[str]) -> str:
    """Why a command failed, in one line of what it wrote; an empty string if it did not."""
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if ERROR.search(line)]
    return (errors or lines or ["it failed without output"])[0][:200]


def install_compiler() -> str:
    """Install what builds the compiled wheel; return the reason of a failure, or an empty string."""
    pip: list[str | Path] = [
        COMPILER / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    create: list[str | Path] = [sys.executable, "-m", "venv", COMPILER]
    for command in (create, [*pip, "--require-hashes", "--requirement", COMPILER_LOCK]):
        reason = reason_of(subprocess.run(command, capture_output=True, text=True, check=False))
        if reason:
            return reason
    return ""


def main() -> int:
    lock = read_lock(LOCK.read_text())
    for group in (BUILD_TOOLS, REQUIRED):
        reason = install(list(group), lock)
        if reason:
            sys.stderr.write(f"bench: {', '.join(group)}: {reason}\n")
            return 1
    missing = {}
    if reason := install_compiler():
        missing["ropewalk"] = f"what compiles it could not be installed: {reason}"
        sys.stderr.write(f"bench: without the compiled build: {reason}\n")
    for name in OPTIONAL:
        reason = install([name], lock)
        if reason:
            missing[name] = f"{reason} ({HINTS[name]})" if name in HINTS else reason
            sys.stderr.write(f"bench: without {name}: {missing[name]}\n")
    Path(sys.prefix, "bench-missing.json").write_text(json.dumps(missing, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
