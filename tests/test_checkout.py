"""A checkout works on a machine whose git converts line ends."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="this is no checkout of git")
def test_checkout_with_autocrlf_has_lf_in_every_text(tmp_path: Path) -> None:
    def git(*words: str, cwd: Path) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        command = ["git", *words]
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    checkout = tmp_path / "checkout"
    git("clone", "-q", "--depth=1", "-c", "core.autocrlf=true", REPOSITORY.as_uri(), str(checkout), cwd=tmp_path)
    # "i/lf w/crlf attr/text=auto<TAB>Makefile": the line ends in the index and in the work tree.
    with_crlf = [line for line in git("ls-files", "--eol", cwd=checkout).splitlines() if "crlf" in line.split("\t")[0]]
    assert not with_crlf
    assert (checkout / ".ci/run").read_bytes().startswith(b"#!/usr/bin/env bash\n")
