"""`flask run` and `flask ropewalk` beside each other."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import chdir
from pathlib import Path

import pytest
from flit_core import buildapi

from tests.helpers.paths import REPOSITORY
from tests.helpers.ports import free_port
from tests.helpers.processes import Running, Starter, wait_until
from tests.server.dev.test_examples import COMMANDS, PROGRAMS

BOTH = pytest.mark.parametrize("word", ["run", "ropewalk"])

SITE = """
from flask import Flask

app = Flask(__name__)

@app.get("/")
def index():
    return "hello"

@app.get("/error")
def error():
    raise LookupError("shop")
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In which Flask finds the command, as after an installation."""
    installed = tmp_path / "installed"
    installed.mkdir()
    with chdir(REPOSITORY / "server"):
        buildapi.prepare_metadata_for_build_wheel(str(installed))
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY / 'server'}:{installed}")
    monkeypatch.delenv("FLASK_DEBUG", raising=False)
    (tmp_path / "site.py").write_text(SITE)
    (tmp_path / "shop.py").write_text(SITE)


def flask(*words: str) -> list[str]:
    return [sys.executable, "-m", "flask", *words]


def ask(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(flask(*words), cwd=folder, capture_output=True, text=True, timeout=60)


def fetch(port: int, path: str = "/") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def started(start: Starter, word: str, *options: str) -> tuple[Running, int]:
    port = free_port()
    running = start(*flask("--app", "shop", word, "--port", str(port), *options))
    running.wait_line("Press CTRL")
    return running, port


def lines(running: Running) -> list[str]:
    """Without colours and times."""
    output = re.sub(r"\x1b\[\d+m", "", running.output)
    return re.sub(r"\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\]", "[TIME]", output).splitlines()


@pytest.mark.usefixtures("environment")
def test_options_are_those_of_flask_run(tmp_path: Path) -> None:
    theirs, ours = (ask(tmp_path, word, "--help").stdout.partition("Options:")[2] for word in ("run", "ropewalk"))
    assert theirs == ours
    assert "--debug / --no-debug" in ours
    assert re.search(r"^  ropewalk +Run a development server, Ropewalk\.$", ask(tmp_path, "--help").stdout, re.M)


@BOTH
@pytest.mark.usefixtures("environment")
def test_lines_and_end_are_the_same(word: str, start: Starter) -> None:
    running, port = started(start, word)
    assert fetch(port) == (200, "hello")
    assert fetch(port, "/error")[0] == 500
    running.wait_line("GET /error")
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait_exit() == 0
    before, after = lines(running)[:2], lines(running)[3:]
    assert before == [" * Serving Flask app 'shop'", " * Debug mode: off"]
    assert after[:3] == [
        f" * Running on http://127.0.0.1:{port}",
        "Press CTRL+C to quit",
        '127.0.0.1 - - [TIME] "GET / HTTP/1.1" 200 -',
    ]
    assert after[-2:] == ["LookupError: shop", '127.0.0.1 - - [TIME] "GET /error HTTP/1.1" 500 -']


@BOTH
@pytest.mark.usefixtures("environment")
def test_debugger_shows_the_exception(word: str, start: Starter) -> None:
    _, port = started(start, word, "--debug", "--no-reload")
    status, page = fetch(port, "/error")
    assert status == 500
    assert "LookupError: shop" in page
    assert "// Werkzeug Debugger" in page


@BOTH
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--cert", "missing.pem"], "Error: Invalid value for '--cert': File 'missing.pem' does not exist."),
        (["--key", "shop.py"], "Error: Invalid value for '--key': \"--cert\" must also be specified."),
        (["--port", "http"], "Error: Invalid value for '--port' / '-p': 'http' is not a valid integer."),
    ],
)
def test_what_it_does_not_take_is_said_in_the_same_line(
    word: str, options: list[str], reason: str, tmp_path: Path
) -> None:
    said = ask(tmp_path, "--app", "shop", word, *options)
    assert (said.returncode, said.stderr.splitlines()[-1]) == (2, reason)


@BOTH
@pytest.mark.usefixtures("environment")
def test_application_that_cannot_be_imported_ends_it(word: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("1 / 0")
    said = ask(tmp_path, "--app", "shop", word, "--port", str(free_port()))
    assert said.returncode == 1
    assert said.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.usefixtures("environment")
def test_adhoc_certificate_needs_no_cryptography(
    tmp_path: Path, start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "without" / "cryptography").mkdir(parents=True)
    (tmp_path / "without" / "cryptography" / "__init__.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'without'}:{os.environ['PYTHONPATH']}")
    running, port = started(start, "ropewalk", "--cert", "adhoc")
    assert f"https://127.0.0.1:{port}" in running.output
    refused = ask(tmp_path, "--app", "shop", "run", "--cert", "adhoc")
    assert "requires the cryptography library" in refused.stderr


def shows(word: str, port: int, text: str) -> bool:
    try:
        return text in fetch(port)[1]
    except (ConnectionError, http.client.HTTPException):
        if word == "ropewalk":
            raise
        return False  # Werkzeug's process that ended had accepted it


@BOTH
@pytest.mark.usefixtures("environment")
def test_edit_break_and_mend(word: str, tmp_path: Path, start: Starter) -> None:
    """The server answers all the time."""
    site = tmp_path / "shop.py"
    running, port = started(start, word, "--debug")
    for text, shown in (
        (SITE, "hello"),
        (SITE.replace("hello", "good morning"), "good morning"),
        (SITE.replace('"hello"', '"hello'), "SyntaxError"),
        (SITE.replace("hello", "good evening"), "good evening"),
    ):
        site.write_text(text)
        wait_until(lambda shown=shown: shows(word, port, shown), shown)
    assert f"{os.sep}ropewalk{os.sep}" not in "".join(re.findall(r'^ *File "(.+?)"', running.output, re.MULTILINE))


@pytest.mark.usefixtures("environment")
def test_module_that_was_missing_mends_the_page(tmp_path: Path, start: Starter) -> None:
    site = tmp_path / "shop.py"
    _, port = started(start, "ropewalk", "--debug")
    assert fetch(port) == (200, "hello")
    site.write_text(f"import prices\n{SITE}")
    wait_until(lambda: shows("ropewalk", port, "No module named"), "the mistake")
    (tmp_path / "prices.py").touch()
    wait_until(lambda: fetch(port) == (200, "hello"), "the mended page")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("command", ["flask --app with_flask ropewalk --debug", "python with_flask.py"])
def test_example_of_the_page_answers(command: str, tmp_path: Path, start: Starter) -> None:
    assert command in COMMANDS
    port = free_port()
    (tmp_path / "with_flask.py").write_text(PROGRAMS["with_flask.py"].replace(" 5000,", f" {port},"))
    words = command.removeprefix("python ").split()
    if words[0] == "flask":
        words = ["-m", *words, "--port", str(port)]
    running = start(sys.executable, *words)
    running.wait_line("Debugger PIN")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/hello/Ann", timeout=20) as response:
        assert response.read() == b"hello Ann"
