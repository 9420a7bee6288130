#!/usr/bin/env python3
"""Asks a project about itself: imports it, and prints what it found as JSON.

Runs with the interpreter in which the project's packages are installed, in the folder of manage.py or of the
application: while the image is built, and for `make run`. WSGI_APP and DJANGO_SETTINGS_MODULE name what to import; a
project with Django's manage.py is asked through it.

Settings may insist on variables that exist only where the site runs. This process gives each of them a dummy value: it
starts project_answer.py, sees which variable the project missed, and starts it again with that one. Dummy values live
as long as that process; the answer has them.

Exit status 0 and the answer, a JSON object (project_answer.Answer), on standard output; 1 and one line on standard
error if the project cannot be imported for another reason.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from project_answer import Answer

MOST_DUMMIES = 60  # attempts; projects with more variables without a default than this are rare
TIMEOUT = 60  # seconds for one import: a project that connects somewhere while it is imported may hang
MARK = "\n\x1eanswer:"  # the project may print lines of its own


def ask(
    folder: Path,
    python: str | Path = sys.executable,
    environment: Mapping[str, str] = os.environ,
    *,
    top: Path | None = None,
) -> "Answer":
    """The answer of the project in this folder. Raises RuntimeError with the reason in one line.

    `python` is the interpreter in which its packages are installed, `top` the folder of the whole project, if it is
    another one.
    """
    dummies: dict[str, int] = {}
    error = ""
    for _ in range(MOST_DUMMIES):
        answer = _ask_child((folder, top or folder), python, environment, dummies)
        error = answer.get("error", "")
        if not error:
            answer["dummies"] = {name: candidates(name)[at] for name, at in sorted(dummies.items())}
            return answer
        missed = [name for name in answer["missing"] if name not in dummies]
        if _is_about_a_dummy(error, dummies) and _try_next(dummies):
            continue
        if missed:
            dummies[missed[0]] = 0
        elif not _try_next(dummies):
            break
    raise RuntimeError(error)


def _ask_child(
    folders: tuple[Path, Path], python: str | Path, environment: Mapping[str, str], dummies: dict[str, int]
) -> "Answer":
    folder, top = folders
    values = {name: candidates(name)[at] for name, at in dummies.items()}
    command = [python, str(Path(__file__).with_name("project_answer.py")), str(top)]
    try:
        status, marked = run_marked(command, folder, {**environment, **values}, TIMEOUT)
    except subprocess.TimeoutExpired:
        return {"error": f"importing it did not end within {TIMEOUT} s", "missing": []}
    try:
        answer: Answer = json.loads(marked)
    except ValueError:
        return {"error": f"importing it ended the interpreter (exit status {status})", "missing": []}
    return answer


def run_marked(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], timeout: float | None = None
) -> tuple[int, str]:
    """The exit status, and the line after MARK in the standard output; "" if there is none.

    The project may print lines before and after it. Its standard output is a file: a process that it has started may
    outlive it, and a pipe would not end before that process does. Raises subprocess.TimeoutExpired.
    """
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=output, check=False, timeout=timeout)
        output.seek(0)
        _, mark, marked = output.read().decode(errors="replace").rpartition(MARK)
    return done.returncode, marked.partition("\n")[0] if mark else ""


def _is_about_a_dummy(error: str, dummies: dict[str, int]) -> bool:
    """Whether the error quotes the dummy value of the variable that was missed last."""
    return any(repr(candidates(name)[at]) in error for name, at in list(dummies.items())[-1:])


def _try_next(dummies: dict[str, int]) -> bool:
    """Another dummy value for the variable that was missed last."""
    for name in reversed(dummies):
        if dummies[name] + 1 < len(candidates(name)):
            dummies[name] += 1
            return True
        break
    return False


def candidates(name: str) -> tuple[str, ...]:
    """Dummy values for a variable, the likely one first."""
    word = "dummy-value-for-the-build-00000000000000000="  # 44 characters, like many keys; also base64
    number, url = "1", "http://localhost"
    upper = name.upper()
    if "DATABASE" in upper and upper.endswith(("URL", "URI")):
        return ("sqlite:///:memory:", word)
    if "REDIS" in upper or "BROKER" in upper or "CACHE" in upper:
        return ("redis://localhost:6379/0", word, number)
    if upper.endswith(("URL", "URI", "ENDPOINT", "DSN")):
        return (url, word)
    if re.search(
        r"(PORT|TIMEOUT|SIZE|COUNT|LIMIT|DAYS|HOURS|SECONDS|WORKERS|DEBUG|ENABLED?|_ID)$", upper
    ) or upper.startswith(("USE_", "IS_", "ENABLE_")):
        return (number, word)
    if "EMAIL" in upper:
        return ("dummy@localhost", word)
    return (word, number, url, "{}")


def main() -> int:
    try:
        answer = ask(Path.cwd())
    except RuntimeError as error:
        sys.stderr.write(f"the project cannot be imported: {error}\n")
        return 1
    if names := ", ".join(answer["dummies"]):
        sys.stderr.write(f"dummy values for this step alone, since the project insists on them: {names}\n")
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
