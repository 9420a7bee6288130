"""A Django project in a folder, served by `manage.py runserver`: Django's own or that of ropewalk.django."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.helpers.processes import Running, Starter, wait_until

PROJECT = Path(__file__).parents[1] / "server/django/site"

STARTED = r"Starting (?:WSGI )?development server at (https?)://(.+):(\d+)/"

NOTICED = r" changed, reloading\."

SERVERS = ("django", "ropewalk")


class Site:
    """A copy of the project, whose commands are run with one of the `SERVERS`."""

    def __init__(self, server: str, folder: Path, start: Starter) -> None:
        self.server = server
        self.folder = folder
        self._start = start
        shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, *arguments: str, **env: str) -> Running:
        """Start a command of manage.py."""
        return self.run_python("manage.py", *arguments, **env)

    def run_python(self, *arguments: str, **env: str) -> Running:
        more = {"SERVER": self.server, "PYTHONUNBUFFERED": "1", **env}
        return self._start(sys.executable, *arguments, cwd=self.folder, env=more)

    def serve(self, *arguments: str, **env: str) -> Served:
        """Start `runserver` on a free port, or that of the arguments; waits until it serves."""
        is_given = any(not each.startswith("-") for each in arguments)
        running = self.run("runserver", *(() if is_given else ("0",)), *arguments, **env)
        return Served(running)


class Served:
    """`runserver`, and a client of it."""

    def __init__(self, running: Running) -> None:
        self.running = running

    @property
    def port(self) -> int:
        """The port of the server, once it serves; after reloads that of the last start."""
        self.running.wait_line(STARTED)
        return int(re.findall(STARTED, self.running.output)[-1][2])

    def edit(self, file: Path, text: str, until: str = STARTED) -> None:
        """Write a file, and wait until it is noticed and `until` is printed once more.

        Django's reloader notices changes from its first look on: until it has had one, the file changes again.
        """
        noticed = len(re.findall(NOTICED, self.running.output))
        printed = len(re.findall(until, self.running.output))
        file.write_text(text)

        def is_noticed() -> bool:
            if len(re.findall(NOTICED, self.running.output)) > noticed:
                return True
            os.utime(file)
            return False

        wait_until(is_noticed, f"the change of {file}", interval=0.3)
        self.running.wait_lines(until, printed + 1)

    def connect(self, host: str = "127.0.0.1") -> http.client.HTTPConnection:
        if self.running.wait_line(STARTED)[1] == "http":
            return http.client.HTTPConnection(host, self.port, timeout=20)
        return http.client.HTTPSConnection(host, self.port, timeout=20, context=ssl._create_unverified_context())

    def fetch(
        self, path: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str, http.client.HTTPMessage]:
        """Status, text and header of a response."""
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode(), response.headers
        finally:
            connection.close()

    def interrupt(self) -> int:
        """Ctrl-C, which a terminal sends to all processes; the exit status."""
        os.killpg(self.running.pid, signal.SIGINT)
        return self.running.wait_exit()

    @property
    def lines(self) -> list[str]:
        """What was printed, without what differs from one start to the next: times, ports, addresses."""
        return comparable(self.running.output)


def comparable(output: str) -> list[str]:
    """The lines without times, ports and addresses."""
    for pattern, replacement in (
        (r"\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d", "TIME"),
        (r"\w+ \d\d, \d{4} - \d\d:\d\d:\d\d", "TIME"),
        (r"(://\S+?):\d+/", r"\1:PORT/"),
        (r"0x[0-9a-f]+", "0x"),
    ):
        output = re.sub(pattern, replacement, output)
    return output.splitlines()
