"""The suite passes however it is started: by `nohup`, with `&`, with signals blocked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY

INNER = """
import re, signal, subprocess
def test_child_has_default_signals():
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    for name in ("SigBlk", "SigIgn"):
        mask = int(re.search(f"{name}:\\t(.*)", status)[1], 16)
        assert not [number for number in signal.valid_signals() if mask & 1 << number - 1], name
def test_this_process_is_as_immune_as_it_was():
    signal.raise_signal(signal.SIGHUP)
"""


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "under xdist"])
def test_processes_that_tests_start_have_the_default_signals(tmp_path: Path, options: tuple[str, ...]) -> None:
    def ignore_and_block() -> None:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    (tmp_path / "test_inner.py").write_text(INNER)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.helpers.signals", "-p", "no:cacheprovider", *options, "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "1000"},
        preexec_fn=ignore_and_block,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
