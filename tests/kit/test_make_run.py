"""`make run`, as on a machine with no Docker: from a bare copy of the repository to a page, twice."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest


@pytest.fixture
def checkout(repository, tmp_path):
    """What a clone has of the files that `make run` needs; its own .run is made there."""
    kept = shutil.ignore_patterns("__pycache__", "data", "*.egg-info")
    for folder in ("deploy", "sample_project", "server"):
        shutil.copytree(repository / folder, tmp_path / folder, ignore=kept)
    shutil.copy(repository / "Makefile", tmp_path)
    return tmp_path


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(checkout, log):
    """`make run` in a process group of its own; yields the port."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHON": sys.executable}
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "run", f"PORT={port}"],
            cwd=checkout,
            env=environment,
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


def test_make_run_serves_the_sample_project_and_starts_quickly_again(checkout, wait):
    for time in ("first", "second"):
        log = checkout / f"{time}.log"
        with running(checkout, log) as (process, port):

            def answers(process=process, port=port, log=log):
                assert process.poll() is None, log.read_text()
                with contextlib.suppress(urllib.error.URLError, ConnectionError):
                    return fetch(port, "/healthz") == (200, "ok\n")
                return False

            wait(answers, "the sample project answers", timeout=300)
            said = log.read_text()
            assert f"Serving http://127.0.0.1:{port}" in said
            assert ("The locked requirements are installed already" in said) is (time == "second")
            status, page = fetch(port, "/")
            assert status == 200
            sheet = page.partition('href="/static/')[2].partition('"')[0]
            assert fetch(port, f"/static/{sheet}")[0] == 200
