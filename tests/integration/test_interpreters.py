"""Every interpreter that the server is for, as far as this machine has it: it starts, answers and stops.

The suite as a whole runs on one of them; this finds what another lacks, or does in its own way.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.http_client import GET, Client
from tests.helpers.paths import SERVER

VERSIONS = ["3.11", "3.12", "3.13", "3.13t", "3.14", "3.14t"]

APPLICATION = """\
import json, sys
def application(environ, start_response):
    content = json.dumps([sys.version_info[:2], environ["PATH_INFO"]]).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
    return [content]
"""


def runs(path: str, version: str) -> bool:
    """A version manager's stand-in is found though it starts nothing."""
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return said.returncode == 0 and f"Python {version.rstrip('t')}." in said.stdout


def interpreters() -> dict[str, str]:
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    folders = os.environ.get("PATH", "").split(os.pathsep)
    managed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    folders += [str(folder / "bin") for folder in sorted(managed.glob("3.*"))]
    for version in VERSIONS:
        for folder in folders:
            path = shutil.which(f"python{version}", path=folder)
            if version not in found and path is not None and runs(path, version):
                found[version] = path
    return found


FOUND = interpreters()


@pytest.mark.parametrize("version", FOUND)
def test_interpreter_serves(version: str, start: Any, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION)
    (tmp_path / "settings.toml").write_text('bind = "127.0.0.1:0"\nworkers = 2\nlog-level = "debug"\n')
    command = [FOUND[version], "-m", "ropewalk", "-c", "settings.toml", "--access-logfile", "-", "shop"]
    running = start(*command, env={"PYTHONPATH": str(SERVER)})
    port = int(running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+)")[1])
    client = Client(("127.0.0.1", port))
    client.send(GET)
    head, content = client.read_response()
    client.sock.close()
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    major, minor = json.loads(content)[0]
    assert version.rstrip("t") == f"{major}.{minor}"
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert '"GET / HTTP/1.1" 200' in running.output
