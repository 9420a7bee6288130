"""Other systems: what an embedded server imports and calls where epoll and more are missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import PROGRAMS, REPOSITORY

ENVIRONMENT = {"PYTHONPATH": f"{REPOSITORY / 'server'}:{REPOSITORY}", "PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize("system", ["macos", "windows"])
def test_an_embedded_server_serves_without_what_the_system_lacks(system: str, tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAMS / "other_system.py"), system, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert (ran.stdout, ran.returncode) == ("served\n", 0), ran.stderr
    assert (tmp_path / "log").read_text().count("POST / ") == 20


CORE = (
    "test_embedded.py",
    "test_embedded_logs.py",
    "test_embedded_serving.py",
    "dev/test_files.py",
    "dev/test_simple_server.py",
    "runtime/test_access_logging.py",
    "runtime/test_draining.py",
    "runtime/test_refusals.py",
    "net/test_connection.py",
    "net/test_handshake.py",
    "net/test_streamed_response.py",
    "threads/test_pool.py",
    "wsgi/test_exchange.py",
)


def test_the_tests_of_the_embedded_server_pass_on_selectors() -> None:
    paths = [f"tests/server/{path}" for path in CORE]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.without_epoll", *paths]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=REPOSITORY, env=ENVIRONMENT)
    assert ran.returncode == 0, ran.stdout


def test_the_command_says_in_a_line_that_it_needs_linux() -> None:
    program = "import tests.without_epoll, sys; from ropewalk.cli.main import main; sys.exit(main(['shop:app']))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert ran.returncode == 2
    assert ran.stderr.startswith("ropewalk: the command needs Linux;")
    assert ran.stderr.count("\n") == 1
