"""`make dev` in containers, for Flask and for an application without a framework."""

from __future__ import annotations

import contextlib
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.containers import run, wait_until
from tests.helpers.deployed import KIT, deployed
from tests.helpers.paths import REPOSITORY
from tests.helpers.ports import free_port

pytestmark = pytest.mark.docker

MAIL = """
def send():
    import smtplib
    with smtplib.SMTP("smtp.example.org", 587) as server:
        server.starttls()
        server.login("ada", "secret")
        server.sendmail("a@example.org", ["b@example.org"], "Subject: Order 17\\r\\n\\r\\nthanks")
"""
FLASK = """
from flask import Flask

app = Flask(__name__)
app.add_url_rule("/", view_func=lambda: "one")
app.add_url_rule("/fails", "fails", lambda: 1 / 0)
app.add_url_rule("/mail", "mail", lambda: send() or "sent")
"""
WSGI = """
def application(environ, start_response):
    path = environ["PATH_INFO"]
    content = {"/": "one", "/fails": 1 / (path != "/fails"), "/mail": path == "/mail" and send() or "sent"}[path]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [content.encode()]
"""
PROJECTS = {
    "flask": ({"requirements.txt": "flask\n", "app.py": FLASK + MAIL}, "Werkzeug"),
    "wsgi": ({"wsgi.py": WSGI + MAIL}, "This page is that of <code>make dev</code>"),
}


class Site:
    """A project that `make dev` serves."""

    def __init__(self, folder: Path, port: int, mail_port: int) -> None:
        self.folder = folder
        self._port = port
        self._mail_port = mail_port

    def get(self, path: str) -> str:
        return self._get(f"http://127.0.0.1:{self._port}{path}")

    def mails(self) -> str:
        return self._get(f"http://127.0.0.1:{self._mail_port}/")

    @staticmethod
    def _get(url: str) -> str:
        """Also of an error; empty while nothing responds."""
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()
        except (OSError, ValueError):
            return ""


@contextlib.contextmanager
def development(files: dict[str, str]) -> Iterator[Site]:
    with deployed() as site:
        for name, text in files.items():
            (site.folder / name).write_text(text)
        ports = free_port(), free_port()
        environment = {**site.stack.environment, "DEV_PORT": str(ports[0]), "DEV_MAIL_PORT": str(ports[1])}
        log = site.folder.parent / f"{site.folder.name}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [*KIT, "dev"], cwd=REPOSITORY, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        try:
            served = Site(site.folder, *ports)
            deadline = time.monotonic() + 300
            while served.get("/") == "":
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.3)
            yield served
        finally:
            process.terminate()  # as Ctrl-C does
            status = process.wait(60)
            log.unlink()
            name = f"{site.stack.name}-dev"
            left = run("docker", "ps", "--all", "--quiet", "--filter", f"name={name}").stdout
            run("docker", "compose", "--project-name", name, "down", "--volumes", "--timeout", "5", check=False)
            run("docker", "image", "rm", "--force", name, check=False)
        assert (status, left) == (0, "")


@pytest.mark.parametrize("name", PROJECTS)
def test_code_is_reloaded_errors_have_a_page_and_mails_are_caught(name: str) -> None:
    files, debugger = PROJECTS[name]
    with development(files) as site:
        assert site.get("/") == "one"
        page = site.get("/fails")
        assert "ZeroDivisionError" in page
        assert debugger in page
        assert site.get("/mail") == "sent"
        assert "<h1>Mails (1)</h1>" in site.mails()
        assert "Order 17" in site.mails()
        (source,) = site.folder.glob("*.py")
        source.write_text(source.read_text().replace("one", "two"))
        wait_until(lambda: site.get("/") == "two", "the new code serves")
        good = source.read_text()
        source.write_text("raise RuntimeError\n")
        source.write_text(good.replace("two", "three"))
        wait_until(lambda: site.get("/") == "three", "the mended code serves")
