"""Running other programs."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn


def call(command: Sequence[str | Path], environment: Mapping[str, str], *, folder: Path | None = None) -> int:
    """Runs the program and returns its exit status. Ctrl-C is left to the program, and this process waits for it."""
    before = signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN: the program would inherit that
    try:
        return subprocess.run(command, env=environment, cwd=folder, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def require(command: Sequence[str | Path], environment: Mapping[str, str], *, folder: Path | None = None) -> None:
    """`call`, but exits with the program's status if that is not 0. The program itself has printed why."""
    status = call(command, environment, folder=folder)
    if status:
        sys.exit(status if status > 0 else 128 - status)


def replace(command: Sequence[str | Path], environment: Mapping[str, str]) -> NoReturn:
    """Replaces this process with the program, which then has the signals and the terminal."""
    sys.stdout.flush()
    os.execvpe(command[0], [str(word) for word in command], dict(environment))
