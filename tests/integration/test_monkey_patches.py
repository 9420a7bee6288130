"""gevent's and eventlet's monkey patches are refused in one line, wherever the call is."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.paths import REPOSITORY, SERVER
from tests.helpers.programs.green_threads import CALLS, install

APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""

ROPEWALK = (sys.executable, "-B", "-W", "error", "-m", "ropewalk", "-b", "127.0.0.1:0")
ENV = {"PYTHONPATH": os.pathsep.join([str(SERVER), str(REPOSITORY)])}

Start = Callable[..., Any]


@pytest.fixture(params=["gevent", "eventlet"])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    install(request.param, tmp_path)
    (tmp_path / "shop.py").write_text(APPLICATION)
    return str(request.param)


def refusal(library: str) -> str:
    patched = "select, socket, threading, time"
    return f"{library} has patched {patched}; the server runs requests in real threads, which the patch breaks: remove "


def run(directory: Path, *arguments: str) -> tuple[int, str]:
    """The exit status, and the last line of the output, without a traceback before."""
    done = subprocess.run(
        [*ROPEWALK, *arguments, "shop"],
        cwd=directory,
        env={**os.environ, **ENV},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in done.stdout
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "status"), [((), 3), (("--preload",), 3), (("--preload", "-w", "2"), 3), (("--check-config",), 2)]
)
def test_an_application_that_patches_is_refused(
    library: str, tmp_path: Path, arguments: tuple[str, ...], status: int
) -> None:
    (tmp_path / "shop.py").write_text(CALLS[library] + APPLICATION)
    done = run(tmp_path, *arguments)
    assert done[0] == status
    assert done[1].startswith(f"ropewalk: MODULE:CALLABLE='shop': {refusal(library)}")


@pytest.mark.parametrize("arguments", [(), ("--check-config",)])
def test_a_configuration_file_that_patches_is_refused(library: str, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "conf.py").write_text(CALLS[library])
    status, line = run(tmp_path, "-c", "conf.py", *arguments)
    assert status == 2
    assert line.startswith(f"ropewalk: --config='conf.py': {refusal(library)}")


@pytest.mark.parametrize(("hook", "status"), [("on_starting(server)", 2), ("post_fork(server, worker)", 3)])
@pytest.mark.parametrize("arguments", [(), ("--preload",)])
def test_a_hook_that_patches_is_refused(
    library: str, tmp_path: Path, hook: str, status: int, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "conf.py").write_text(f"def {hook}:\n    {CALLS[library]}\n")
    done = run(tmp_path, "-c", "conf.py", *arguments)
    assert done[0] == status
    assert refusal(library) in done[1]


def test_a_library_that_has_patched_nothing_is_allowed(library: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(f"import {library}\n" + APPLICATION)
    assert run(tmp_path, "--check-config") == (0, "configuration ok")


def test_a_reload_that_patches_is_refused_and_the_master_goes_on(library: str, start: Start, tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text("")
    server = start(*ROPEWALK, "-c", "conf.py", "shop", env=ENV)
    server.wait_line("Ready: ")
    port = int(server.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+) ")[1])
    (tmp_path / "conf.py").write_text(CALLS[library])
    server.send_signal(signal.SIGHUP)
    server.wait_line("Reload failed; keeping the old workers: " + re.escape(f"--config='conf.py': {refusal(library)}"))
    os.kill(int(server.wait_line(r"Booting worker with pid: (\d+)")[1]), signal.SIGKILL)
    server.wait_lines("Ready: ", 2)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"ok"
    connection.close()
    server.send_signal(signal.SIGTERM)
    assert server.wait_exit() == 0
    assert "Traceback" not in server.output
