"""`make run`, as on a machine with no Docker: from a bare copy of the repository to a page, twice."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request

import pytest

from tests.helpers.paths import REPOSITORY
from tests.helpers.ports import free_port
from tests.helpers.wheels import make_wheel


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What a clone has of the files that `make run` needs; its own .run is made there."""
    tmp_path = tmp_path_factory.mktemp("checkout")
    kept = shutil.ignore_patterns("__pycache__", "data", "*.egg-info")
    for folder in ("deploy", "sample_project", "server"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=kept)
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    return tmp_path


@contextlib.contextmanager
def running(checkout, log, **variables):
    """`make run` in a process group of its own; yields the port."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHON": sys.executable,
    } | variables
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "run", f"PORT={port}"],
            cwd=checkout,
            env=environment | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process, port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def fetch(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as response:
        return response.status, response.read().decode()


def wait_for(wait, process, port, log, path, expected):
    def answers():
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            return fetch(port, path) == (200, expected)
        return False

    wait(answers, f"the project answers at {path}", timeout=300)


def test_make_run_serves_the_sample_project_and_starts_quickly_again(checkout, wait):
    for time in ("first", "second"):
        log = checkout / f"{time}.log"
        with running(checkout, log) as (process, port):
            wait_for(wait, process, port, log, "/healthz", "ok\n")
            said = log.read_text()
            assert f"Serving http://127.0.0.1:{port}" in said
            assert ("The requirements are installed already" in said) is (time == "second")
            status, page = fetch(port, "/")
            assert status == 200
            sheet = page.partition('href="/static/')[2].partition('"')[0]
            assert fetch(port, f"/static/{sheet}")[0] == 200


PROJECT = {
    "pyproject.toml": """
        [project]
        name = "greeting"
        version = "1"
        dependencies = ["harbour"]
        [tool.uv]
        find-links = ["wheels"]
        """,
    "src/greeting/__init__.py": """
        import harbour
        def application(environ, start_response):
            start_response("200 OK", [])
            return [harbour.__name__.encode()]
        """,
}


def test_make_run_serves_a_project_that_nobody_described_to_it(checkout, wait, tmp_path):
    """A src layout, no requirements.txt, a package of its own index, and no WSGI_APP."""
    folder = tmp_path / "greeting"
    for name, text in PROJECT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    make_wheel(folder / "wheels", "harbour")
    log = tmp_path / "log"
    with running(checkout, log, PROJECT_DIR=str(folder)) as (process, port):
        wait_for(wait, process, port, log, "/", "harbour")
    assert "The application is greeting:application (src/greeting/__init__.py:3)" in log.read_text()
