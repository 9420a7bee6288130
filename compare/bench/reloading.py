"""`make bench-reload`: from a save to the first response of the new code, with the reloaders of four servers.

All of them serve the same application, each from a folder of its own, at the same time: a round edits one after the
other, after a pause of random length, so that those that look at intervals are met at any moment of theirs. Requests
follow each other without a pause; those that fail during the restart are counted.
"""

from __future__ import annotations

import argparse
import http.client
import importlib.metadata
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.console import positive_integer, progress
from bench.machine import machine
from bench.paths import PAGES, SERVER
from bench.report.markdown import replace_regions, table
from bench.server_process import free_address
from bench.servers import source_version

PAGE = PAGES / "reloading.md"
TARGET = 300  # milliseconds
PATIENCE = 30.0  # seconds for a start, and for a change to be noticed
PAUSE = (0.8, 1.8)  # seconds before each edit
HEADING = ("reloader", "version", "median", "worst", "failed requests")

APPLICATION = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello %d\\n"]


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello %d\\n"})
"""

RUN_WERKZEUG = """\
import sys
from werkzeug.serving import run_simple
from hello import app
run_simple("127.0.0.1", int(sys.argv[1]), app, use_reloader=True, threaded=True)
"""


class Reloader(NamedTuple):
    package: str
    command: tuple[str, ...]
    """After the interpreter; `{port}` is replaced."""


RELOADERS = {
    "ropewalk": Reloader("ropewalk", ("-m", "ropewalk", "--reload", "-b", "127.0.0.1:{port}", "hello:app")),
    "ropewalk, polling": Reloader(
        "ropewalk",
        ("-m", "ropewalk", "--reload", "--reload-engine", "poll", "-b", "127.0.0.1:{port}", "hello:app"),
    ),
    "uvicorn": Reloader("uvicorn", ("-m", "uvicorn", "--reload", "--port", "{port}", "hello:asgi")),
    "werkzeug": Reloader("werkzeug", ("run_werkzeug.py", "{port}")),
    "gunicorn": Reloader("gunicorn", ("-m", "gunicorn", "--reload", "-b", "127.0.0.1:{port}", "hello:app")),
}


class Sample(NamedTuple):
    milliseconds: float
    failed: int


class Running:
    """A server in a folder of its own."""

    def __init__(self, name: str, folder: Path, on_exit: ExitStack) -> None:
        self.name = name
        self._file = folder / "hello.py"
        self._number = 0
        self._port = free_address().rpartition(":")[2]
        (folder / "run_werkzeug.py").write_text(RUN_WERKZEUG)
        self._write()
        command = [sys.executable, *(part.format(port=self._port) for part in RELOADERS[name].command)]
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        on_exit.callback(process.wait, PATIENCE)
        on_exit.callback(process.terminate)
        self._wait()

    def _write(self) -> None:
        self._number += 1
        self._file.write_text(APPLICATION.replace("%d", str(self._number)))

    def _wait(self) -> int:
        """Ask until the response is of the current number; returns how many requests failed."""
        failed, deadline = 0, time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection("127.0.0.1", int(self._port), timeout=PATIENCE)
            try:
                connection.request("GET", "/")
                if connection.getresponse().read() == b"hello %d\n" % self._number:
                    return failed
            except (OSError, http.client.HTTPException):
                failed += 1
            finally:
                connection.close()
            time.sleep(0.002)
        raise TimeoutError(f"{self.name} did not serve the new code within {PATIENCE:g} s")

    def edit(self) -> Sample:
        began = time.monotonic()
        self._write()
        failed = self._wait()
        return Sample((time.monotonic() - began) * 1000, failed)


def measure(rounds: int) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {name: [] for name in RELOADERS}
    chance = random.Random(1)
    with ExitStack() as on_exit:
        folder = Path(on_exit.enter_context(tempfile.TemporaryDirectory(prefix="bench-reload-")))
        servers = []
        for number, name in enumerate(RELOADERS):
            (folder / str(number)).mkdir()
            servers.append(Running(name, folder / str(number), on_exit))
        for number in range(1, rounds + 1):
            progress(f"round {number} of {rounds}\n")
            for server in servers:
                time.sleep(chance.uniform(*PAUSE))
                samples[server.name].append(server.edit())
    return samples


def results_region(samples: dict[str, list[Sample]]) -> str:
    rows = []
    for name, found in samples.items():
        times = [each.milliseconds for each in found]
        package = RELOADERS[name].package
        version = source_version(SERVER) if package == "ropewalk" else importlib.metadata.version(package)
        failed = sum(each.failed for each in found)
        rows.append((name, version, f"{median(times):.0f} ms", f"{max(times):.0f} ms", str(failed)))
    own = median([each.milliseconds for each in samples["ropewalk"]])
    mark = "✓ met" if own < TARGET else "✗ missed"
    rounds = len(samples["ropewalk"])
    return f"{table(HEADING, rows)}\n\n{rounds} edits each. Target for ropewalk, below {TARGET} ms: **{mark}**."


def environment_region() -> str:
    wanted = ("date", "CPU", "kernel", "environment", "Python", "load average at the start", "commit")
    facts = machine()
    rows = [(name, facts[name]) for name in wanted]
    return table(("", ""), [*rows, ("watchfiles", importlib.metadata.version("watchfiles"))])


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.reloading", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive_integer, default=15, help="edits of each (default: 15)")
    parser.add_argument("--dry-run", action="store_true", help="print the table and leave the page as it is")
    options = parser.parse_args()
    environment = environment_region()
    results = results_region(measure(options.rounds))
    sys.stdout.write(f"{results}\n")
    if not options.dry_run:
        PAGE.write_text(replace_regions(PAGE.read_text(), {"environment": environment, "results": results}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
