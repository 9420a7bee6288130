"""Starts the sample project, on a backend, as a process or as containers, and ends it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.parity.raw_http import Address
from tests.helpers.paths import REPOSITORY, SAMPLE_PROJECT
from tests.helpers.ports import free_port

SECRET_KEY = "the same on both sides, so that signatures are"
START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0

COMMANDS = {
    "ropewalk": [sys.executable, "-m", "ropewalk", "--workers=1", "--threads=8"],
    "gunicorn": [
        *(sys.executable, "-m", "gunicorn", "--workers=1", "--threads=8", "--worker-class=gthread"),
        *("--keep-alive=75", "--no-control-socket"),  # as deploy/ starts it
        "--limit-request-line=8190",  # as ropewalk and nginx have it
    ],
}


def clean_environment(**variables: str) -> dict[str, str]:
    """Of this process's environment, what a program needs to start, and `variables`."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | variables


def make_prepared(directory: Path) -> Path:
    """The data that every backend begins with: a copy of it for each."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.helpers.parity.prepare"],
        cwd=REPOSITORY,
        env=clean_environment(
            PYTHONPATH=str(SAMPLE_PROJECT),
            DJANGO_SETTINGS_MODULE="sample_project.settings",
            DATA_DIR=str(directory),
            SECRET_KEY=SECRET_KEY,
        ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if ended.returncode != 0:
        raise AssertionError(f"the data could not be made:\n{ended.stdout}{ended.stderr}")
    return directory


@contextlib.contextmanager
def running_process(backend: str, prepared: Path, directory: Path) -> Iterator[Address]:
    data, log = directory / "data", directory / "log"
    shutil.copytree(prepared, data)
    port = free_port()
    command = [*COMMANDS[backend], f"--bind=127.0.0.1:{port}", "sample_project.wsgi:application"]
    environment = clean_environment(DATA_DIR=str(data), SECRET_KEY=SECRET_KEY, LOG_LEVEL="CRITICAL", DIAGNOSTICS="1")
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=SAMPLE_PROJECT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_until_healthy(port, process, log)
        yield "127.0.0.1", port
        process.terminate()
        status = process.wait(STOP_TIMEOUT)
        if status != 0:
            raise AssertionError(f"{backend} ended with status {status}:\n{log.read_text()}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # nothing is left in its group, or it hangs
        process.wait()


def _wait_until_healthy(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _is_healthy(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"{process.args!r} did not start:\n{log.read_text()}")
        time.sleep(0.05)


def _is_healthy(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as probe:
        probe.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        return b" 200 " in probe.recv(100)
    return False
