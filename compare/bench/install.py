"""Installs what is compared into this interpreter's environment, each server by itself: `python -m bench.install`.

Some have to be compiled, and not every machine can. What does not install is written down with the reason, so that the
results name it as missing. Everything is held to the hashes of requirements.txt.
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
FIRST = ("setuptools", "packaging", "wheel")  # what the others are built with
ALWAYS = ("django", "dj-database-url", "gunicorn")
EACH_ALONE = ("gunicorn-h1c", "waitress", "cheroot", "granian", "uwsgi", "bjoern", "werkzeug", "py-spy")
HINTS = {"bjoern": "it is compiled against libev: apt-get install gcc python3-dev libev-dev"}
WORD_OF_A_FAULT = re.compile(r"error|fatal", re.IGNORECASE)


def locked(text: str) -> dict[str, tuple[str, set[str]]]:
    """Read a lock file: by name, the requirement with its hashes, and the names of those that asked for it."""
    found: dict[str, tuple[str, set[str]]] = {}
    for block in re.split(r"\n(?=[^\s#])", text.strip()):
        lines = block.splitlines()
        requirement = "\n".join(line for line in lines if not line.strip().startswith("#"))
        comments = " ".join(line.strip("# ") for line in lines if line.strip().startswith("#"))
        names = {word for word in comments.removeprefix("via").split() if re.fullmatch(r"[a-z0-9-]+", word)}
        found[re.split(r"[=\s\[]", requirement, maxsplit=1)[0]] = requirement, names - {"r"}
    return found


def with_dependencies(name: str, lock: dict[str, tuple[str, set[str]]]) -> list[str]:
    """The names of `name` and of all that it needs."""
    wanted = [name]
    for one in wanted:
        wanted.extend(other for other, (_, asked_by) in lock.items() if one in asked_by and other not in wanted)
    return wanted


def install(names: list[str], lock: dict[str, tuple[str, set[str]]]) -> str:
    """Install these with their dependencies; return why it failed, or nothing."""
    wanted = dict.fromkeys(one for name in names for one in with_dependencies(name, lock))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lock[name][0] for name in wanted) + "\n")
        file.flush()
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--require-hashes", "--no-deps", "--no-build-isolation", "--requirement", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    faults = [line for line in lines if WORD_OF_A_FAULT.search(line)]
    return (faults or lines or ["pip failed and did not say why"])[0][:200]


def main() -> int:
    lock = locked(LOCK.read_text())
    for group in (FIRST, ALWAYS):
        reason = install(list(group), lock)
        if reason:
            sys.stderr.write(f"bench: {', '.join(group)}: {reason}\n")
            return 1
    missing = {}
    for name in EACH_ALONE:
        reason = install([name], lock)
        if reason:
            missing[name] = f"{reason} ({HINTS[name]})" if name in HINTS else reason
            sys.stderr.write(f"bench: without {name}: {missing[name]}\n")
    Path(sys.prefix, "bench-missing.json").write_text(json.dumps(missing, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
