"""The examples of docs/development.md, run as they are written there."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.paths import REPOSITORY
from tests.helpers.ports import free_port

PAGE = (REPOSITORY / "docs" / "development.md").read_text()

PROGRAMS = {name: text for text, name in re.findall(r"^```(?:python|ini)\n([#;] (\S+)\n.*?)^```$", PAGE, re.M | re.S)}
"""The text of each example that is a file, by its name, which the first line has."""

COMMANDS = re.findall(r"^    ((?:ropewalk|python|flask) .*)$", PAGE, re.M)

BROWSER = """
import pytest
from playwright.sync_api import sync_playwright
from tests.helpers.machine import find_browser

@pytest.fixture
def page():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()
"""
"""The fixture of pytest-playwright, with the browser of the machine."""

Start = Callable[..., Any]
WaitFor = Callable[[Callable[[], object], str], None]


def fetch(url: str, data: bytes | None = None) -> bytes:
    with urllib.request.urlopen(url, data, timeout=20) as response:
        content: bytes = response.read()
        return content


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], int]:
    """Writes an example with another port than that of the page; returns that port."""

    def write(name: str) -> int:
        port = free_port()
        text = re.sub(r"(127\.0\.0\.1:|port=)\d{4}", rf"\g<1>{port}", PROGRAMS[name])
        (tmp_path / name).write_text(text)
        return port

    return write


@pytest.mark.parametrize(
    ("program", "command", "path", "content"),
    [
        ("hello.py", "ropewalk hello:app", "", b"hello"),
        ("with_bottle.py", "ropewalk with_bottle:app", "hello/Ann", b"hello Ann"),
        ("with_bottle.py", "python with_bottle.py", "hello/Ann", b"hello Ann"),
        ("with_pyramid.py", 'ropewalk "with_pyramid:main({})"', "hello/Ann", b"hello Ann"),
    ],
)
def test_application_answers(
    write: Callable[[str], int],
    start: Start,
    wait_for: WaitFor,
    program: str,
    command: str,
    path: str,
    content: bytes,
) -> None:
    assert command in COMMANDS
    port = write(program)
    words = shlex.split(command)
    if words[0] == "ropewalk":
        words = ["python", "-m", *words, "--bind", f"127.0.0.1:{port}"]
    start(sys.executable, *words[1:])
    wait_for(lambda: listens(port), "the server")
    assert fetch(f"http://127.0.0.1:{port}/{path}") == content


@pytest.mark.browser
def test_live_server_is_seen_by_a_browser(write: Callable[[str], int], tmp_path: Path) -> None:
    write("hello.py")
    write("test_hello.py")
    (tmp_path / "conftest.py").write_text(BROWSER)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hello.py"]
    environment = {"PYTHONPATH": f"{REPOSITORY / 'server'}:{REPOSITORY}", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def test_webhook_catcher_ends_with_the_call_that_it_waits_for(
    write: Callable[[str], int], start: Start, wait_for: WaitFor
) -> None:
    port = write("wait_for_payment.py")
    running = start(sys.executable, "wait_for_payment.py")
    wait_for(lambda: listens(port), "the catcher")
    for state in ("open", "paid"):
        assert fetch(f"http://127.0.0.1:{port}/", json.dumps({"number": 42, "state": state}).encode()) == b""
    assert running.wait_exit() == 0
    assert running.output == "42 open\n42 paid\n"


def test_metrics_are_served_beside_the_script(write: Callable[[str], int], tmp_path: Path, wait_for: WaitFor) -> None:
    port = write("import_orders.py")
    command = [sys.executable, "import_orders.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        wait_for(lambda: listens(port), "the page")
        assert fetch(f"http://127.0.0.1:{port}/") == b"orders_imported_total 0\n"
        running.stdin.write("an order\n" * 3)
        running.stdin.flush()
        wait_for(lambda: fetch(f"http://127.0.0.1:{port}/") == b"orders_imported_total 3\n", "the count")
        running.stdin.close()
        assert running.wait(20) == 0
