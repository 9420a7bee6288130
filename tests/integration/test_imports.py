"""What a plain server does without: each of these modules costs milliseconds of every start and memory at rest.

They are loaded by what needs them: TLS, a `.toml` file, `--static`, a word that is mistyped.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

APPLICATION = """\
import sys

def application(environ, start_response):
    content = " ".join(sys.modules).encode()
    start_response("200 OK", [("Content-Length", str(len(content)))])
    return [content]
"""

NOT_WANTED = {
    *("ssl", "hashlib", "email", "http", "urllib", "tomllib", "difflib", "tempfile", "shutil", "pathlib", "datetime"),
    *(
        "dataclasses",
        "inspect",
        "ast",
        "copy",
        "encodings.idna",
        "binascii",
        "random",
        "platform",
        "mimetypes",
        "subprocess",
        "logging",
        "asyncio",
        "concurrent",
        "multiprocessing",
    ),
    *("ropewalk.config.embedded_settings", "ropewalk.config.files", "ropewalk.logs.access_log"),
    *("ropewalk.metrics.prometheus", "ropewalk.metrics.snapshot", "ropewalk.metrics.statsd"),
}


@pytest.fixture(scope="module")
def of_the_interpreter() -> set[str]:
    """What Python itself, or what is installed beside the server, has loaded before anything was asked.

    So is `traceback`, which an error needs that leaves no descriptor to load it with. In 3.14 it loads `dataclasses`.
    """
    words = [sys.executable, "-c", "import sys, traceback; print(*sys.modules)"]
    return set(subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout.split())


def modules_of(start: Callable[..., Any], folder: Path, *arguments: str) -> set[str]:
    """The modules of a worker that serves a request."""
    (folder / "shop.py").write_text(APPLICATION)
    running = start(sys.executable, "-m", "ropewalk", "-b", "127.0.0.1:0", *arguments, "shop")
    port = int(running.wait_line(r"Listening at: \w+://127\.0\.0\.1:(\d+) ")[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/")
        return set(connection.getresponse().read().decode().split())
    finally:
        connection.close()


def test_a_plain_server_loads_nothing_that_it_does_not_need(
    start: Callable[..., Any], tmp_path: Path, of_the_interpreter: set[str]
) -> None:
    loaded = modules_of(start, tmp_path, "--threads", "2", "--keep-alive", "10")
    assert "ropewalk.runtime.service" in loaded
    assert (NOT_WANTED - of_the_interpreter) & loaded == set()


def test_what_is_asked_for_is_loaded(start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "server.toml").write_text('static = ["/files/=files"]\n')
    assert {"tomllib", "mimetypes", "email"} <= modules_of(start, tmp_path, "--config", "server.toml")
