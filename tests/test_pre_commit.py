"""The pre-commit hooks pass on what is committed, and each finds the fault that it is for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY

FAULTS = {
    "server/faulty.py": "import os\nif  True : pass\n",
    "deploy/faulty": "#!/usr/bin/env bash\nrm $1\n",
    "faulty/Dockerfile": "FROM debian\nRUN cd /tmp\n",
    "docs/faulty.md": "The langauge of the docs.\n",  # codespell:ignore
    ".github/workflows/faulty.yml": "on: push\njobs: {one: {run-on: ubuntu-latest}}\n",
}


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="this is no checkout of git")
def test_hooks_pass_on_what_is_committed_and_find_what_is_wrong(tmp_path: Path) -> None:
    clone = tmp_path / "clone"

    def run(*command: str, cwd: Path = clone, check: bool = True) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment["PRE_COMMIT_HOME"] = str(tmp_path / "home")
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=check, timeout=600
        ).stdout

    def outcomes() -> dict[str, str]:
        output = run(f"{sys.prefix}/bin/pre-commit", "run", "--all-files", check=False)
        return dict(re.findall(r"^([\w -]+?)\.\.+(?:\(.*\))?(\w+)$", output, re.MULTILINE))

    run("git", "clone", "-q", "--depth=1", REPOSITORY.as_uri(), str(clone), cwd=tmp_path)
    (clone / ".venv").symlink_to(sys.prefix)
    hooks = ("ruff check", "ruff format", "shellcheck", "hadolint", "codespell", "zizmor")
    assert outcomes() == dict.fromkeys(hooks, "Passed")
    for name, text in FAULTS.items():
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text(text)
        (clone / name).chmod(0o755)
    run("git", "add", ".")
    assert outcomes() == dict.fromkeys(hooks, "Failed")
