"""From starting a server to its first response: Ropewalk and what frameworks start with.

    make bench-start        python -m bench.cold_start [--rounds 10] [--write]

A new process each time, whose modules are compiled already and in the page cache; servers take turns. A response counts
once its status 200 has arrived. A server whose package is missing has a row that says so.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bench.console import positive_integer, progress, usage_error
from bench.machine import machine
from bench.paths import DOCS, SERVER
from bench.report.markdown import regions, replace_regions, table
from bench.server_process import free_address

PAGE = DOCS / "development.md"
REGION = "cold-start"
FACTS = ("date", "CPU", "Python", "load average at the start")
HEADING = ("application", "started with", "median", "fastest", "slowest")
INTERVAL = 0.002
"""Seconds between two attempts to connect."""
PATIENCE = 30.0

PROGRAMS = {
    "function.py": """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
""",
    "with_wsgiref.py": """
import sys
from wsgiref.simple_server import make_server
from function import app
make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
""",
    "embedded.py": """
import sys
import ropewalk
from function import app
ropewalk.serve(app, bind=f"127.0.0.1:{sys.argv[1]}")
""",
    "with_flask.py": """
from flask import Flask
app = Flask(__name__)
@app.get("/")
def hello():
    return "hello"
""",
    "site.d/manage.py": """
import os
import sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
""",
    "site.d/settings.py": """
import os
from django.http import HttpResponse
from django.urls import path
ALLOWED_HOSTS = ["*"]
DEBUG = True
INSTALLED_APPS = os.environ.get("APPS", "").split()
ROOT_URLCONF = "settings"
SECRET_KEY = "of a benchmark"
USE_TZ = True
urlpatterns = [path("", lambda request: HttpResponse("hello"))]
""",
    "site.d/wsgi.py": """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
""",
}


class Contender(NamedTuple):
    """What is started: words after the interpreter, in which PORT stands for the port."""

    application: str
    name: str
    words: tuple[str, ...]
    folder: str = "."
    apps: str = ""
    """Django's, in its settings."""


WAITRESS = ("-m", "waitress", "--listen=127.0.0.1:PORT")
RUNSERVER = ("manage.py", "runserver", "PORT")

CONTENDERS = (
    Contender("a function", "`ropewalk`", ("-m", "ropewalk", "function:app", "--bind", "127.0.0.1:PORT")),
    Contender("a function", "`ropewalk.serve`", ("embedded.py", "PORT")),
    Contender("a function", "wsgiref", ("with_wsgiref.py", "PORT")),
    Contender("a function", "`waitress-serve`", (*WAITRESS, "function:app")),
    Contender("a function", "`gunicorn`", ("-m", "gunicorn", "function:app", "--bind", "127.0.0.1:PORT")),
    Contender("Flask", "`ropewalk`", ("-m", "ropewalk", "with_flask:app", "--bind", "127.0.0.1:PORT")),
    Contender("Flask", "`flask ropewalk`", ("-m", "flask", "--app", "with_flask", "ropewalk", "--port", "PORT")),
    Contender("Flask", "`flask run`", ("-m", "flask", "--app", "with_flask", "run", "--port", "PORT")),
    Contender("Flask", "`waitress-serve`", (*WAITRESS, "with_flask:app")),
    Contender("Django", "`ropewalk`", ("-m", "ropewalk", "wsgi", "--bind", "127.0.0.1:PORT"), "site.d"),
    Contender("Django", "`runserver` of ropewalk.django", RUNSERVER, "site.d", "ropewalk.django"),
    Contender("Django", "`runserver`", RUNSERVER, "site.d"),
    Contender("Django", "`waitress-serve`", (*WAITRESS, "wsgi:application"), "site.d"),
)


def write_programs(folder: Path) -> None:
    for name, text in PROGRAMS.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.lstrip())


def seconds_to_respond(contender: Contender, folder: Path) -> float | str:
    """Seconds, or the last line of a server that has ended or does not respond."""
    port = free_address().rpartition(":")[2]
    words = [word.replace("PORT", port) for word in contender.words]
    environ = {**os.environ, "PYTHONPATH": str(SERVER), "APPS": contender.apps}
    environ |= {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=folder / contender.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            while process.poll() is None and time.perf_counter() - began < PATIENCE:
                if responds(port):
                    return time.perf_counter() - began
                time.sleep(INTERVAL)
        finally:
            with suppress(ProcessLookupError):  # it has ended, and left nothing of its session
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        return (output.read().strip().splitlines() or ["it says nothing"])[-1]


def responds(port: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=PATIENCE) as client:
            client.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
            return client.recv(4096)[8:13] == b" 200 "
    except OSError:
        return False


def measure(rounds: int) -> dict[Contender, list[float] | str]:
    """The seconds of each, after a first start that compiles its modules, or why there are none."""
    found: dict[Contender, list[float] | str] = {contender: [] for contender in CONTENDERS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_programs(folder)
        for number in range(rounds + 1):
            progress(f"\rround {number} of {rounds} ")
            for contender, times in found.items():
                if isinstance(times, str):
                    continue
                seconds = seconds_to_respond(contender, folder)
                if isinstance(seconds, str):
                    found[contender] = seconds
                elif number:
                    times.append(seconds)
    progress("\n")
    return found


def report(found: dict[Contender, list[float] | str], rounds: int) -> str:
    facts = machine()
    measured = "; ".join(f"{name}: {facts[name]}" for name in FACTS)
    return f"{rounds} rounds; {measured}.\n\n{table(HEADING, list(rows(found)))}"


def rows(found: dict[Contender, list[float] | str]) -> Iterable[tuple[str, ...]]:
    for contender, times in found.items():
        if isinstance(times, str):
            yield contender.application, contender.name, "-", "-", times.replace("|", "/")
        else:
            seconds = (statistics.median(times), min(times), max(times))
            yield contender.application, contender.name, *(f"{1000 * each:.0f} ms" for each in seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.cold_start", description="Measure the time to the first response.")
    parser.add_argument("--rounds", type=positive_integer, default=10)
    parser.add_argument("--write", action="store_true", help="into docs/development.md, too")
    given = parser.parse_args()
    found = measure(given.rounds)
    text = report(found, given.rounds)
    sys.stdout.write(f"{text}\n")
    if given.write:
        missing = [contender.name for contender, times in found.items() if isinstance(times, str)]
        if missing:
            usage_error(f"not written, because these did not respond: {', '.join(missing)}", "bench.cold_start")
        page = PAGE.read_text()
        PAGE.write_text(replace_regions(page, regions(page) | {REGION: text}))


if __name__ == "__main__":
    main()
