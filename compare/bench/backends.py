"""The servers that are compared, and the command that starts each: one process, so many threads.

Each gets its defaults, but for what the scenarios need of all alike: as many connections as they open, connections kept
for 75 s, no access log unless the scenario has one, a backlog of 2048.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

APPLICATIONS = Path(__file__).with_name("applications")
SERVER = Path(__file__).resolve().parents[2] / "server"
BIN = Path(sys.prefix, "bin")

KEEP_ALIVE = "75"
BACKLOG = "2048"
CONNECTIONS = "20000"

BEFORE = "ropewalk-before"


@dataclass(frozen=True, slots=True)
class Start:
    """What a server is to be started with. `bind` is `HOST:PORT` or `unix:PATH`; `access_log` a file, or nothing."""

    application: str
    bind: str
    threads: int = 8
    access_log: str = ""
    workers: int = 1  # of those servers that can have several

    @property
    def unix_path(self) -> str:
        return self.bind.removeprefix("unix:") if self.bind.startswith("unix:") else ""


@dataclass(frozen=True, slots=True)
class Backend:
    """A server. `package` is the distribution whose version is told; `needs` what else has to be installed."""

    name: str
    package: str
    command: Callable[[Start], list[str]]
    needs: str = ""
    note: str = ""
    can_log: bool = True
    can_unix: bool = True
    server: Path = SERVER  # where the package ropewalk stands


def _ropewalk(start: Start) -> list[str]:
    command = [sys.executable, "-m", "ropewalk", f"{start.application}:application", "--bind", start.bind]
    command += ["--threads", str(start.threads), "--keep-alive", KEEP_ALIVE, "--log-level", "warning"]
    command += ["--workers", str(start.workers)] if start.workers > 1 else []
    return command + (["--access-logfile", start.access_log] if start.access_log else [])


def _gunicorn(worker: str, parser: str) -> Callable[[Start], list[str]]:
    def command(start: Start) -> list[str]:
        words = [str(BIN / "gunicorn"), f"{start.application}:application", "--bind", start.bind, "--no-control-socket"]
        words += ["--worker-class", worker, "--http-parser", parser, "--keep-alive", KEEP_ALIVE]
        words += ["--backlog", BACKLOG, "--log-level", "warning", "--worker-connections", CONNECTIONS]
        words += ["--workers", str(start.workers)]
        if worker == "gthread":
            words += ["--threads", str(start.threads)]
        return words + (["--access-logfile", start.access_log] if start.access_log else [])

    return command


def _waitress(start: Start) -> list[str]:
    command = [str(BIN / "waitress-serve"), "--threads", str(start.threads), "--connection-limit", CONNECTIONS]
    command += ["--asyncore-use-poll", "--backlog", BACKLOG, "--channel-timeout", KEEP_ALIVE]
    if start.unix_path:
        command += [f"--unix-socket={start.unix_path}", "--unix-socket-perms=666"]
    else:
        command += [f"--listen={start.bind}"]
    return [*command, f"{start.application}:application"]


def _cheroot(start: Start) -> list[str]:
    command = [str(BIN / "cheroot"), f"{start.application}:application", "--bind", start.unix_path or start.bind]
    return [*command, "--threads", str(start.threads), "--timeout", KEEP_ALIVE, "--request-queue-size", BACKLOG]


def _granian(start: Start) -> list[str]:
    command = [str(BIN / "granian"), f"{start.application}:application", "--interface", "wsgi", "--workers"]
    command += [
        str(start.workers),
        "--blocking-threads",
        str(start.threads),
        "--http",
        "1",
        "--no-ws",
        "--log-level",
        "warning",
    ]
    command += ["--backlog", BACKLOG]
    if start.unix_path:
        command += ["--uds", start.unix_path]
    else:
        host, _, port = start.bind.rpartition(":")
        command += ["--host", host, "--port", port]
    return command + (["--log-level", "info", "--access-log"] if start.access_log else [])


def _uwsgi(start: Start) -> list[str]:
    command = [str(BIN / "uwsgi"), "--http11-socket", start.unix_path or start.bind, "--module"]
    command += [f"{start.application}:application", "--threads", str(start.threads), "--enable-threads"]
    command += ["--listen", BACKLOG, "--need-app", "--die-on-term", "--virtualenv", sys.prefix, "--http-keepalive"]
    command += ["--socket-timeout", KEEP_ALIVE, "--chmod-socket=666"]
    return command + (["--logto", start.access_log] if start.access_log else ["--disable-logging"])


def _script(name: str) -> Callable[[Start], list[str]]:
    return lambda start: [sys.executable, str(APPLICATIONS / name), start.application, start.bind]


BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("ropewalk", "", _ropewalk),
        Backend("gunicorn-gthread", "gunicorn", _gunicorn("gthread", "python")),
        Backend("gunicorn-gthread-c", "gunicorn", _gunicorn("gthread", "fast"), "gunicorn-h1c", "with its C parser"),
        Backend("gunicorn-sync", "gunicorn", _gunicorn("sync", "python"), note="one request at a time"),
        Backend(
            "gunicorn-sync-c", "gunicorn", _gunicorn("sync", "fast"), "gunicorn-h1c", "one at a time, with its C parser"
        ),
        Backend("waitress", "waitress", _waitress, can_log=False),
        Backend("cheroot", "cheroot", _cheroot, can_log=False),
        Backend("granian", "granian", _granian, note="Rust"),
        Backend("uwsgi", "uwsgi", _uwsgi, note="C"),
        Backend("bjoern", "bjoern", _script("run_bjoern.py"), note="C, one thread", can_log=False),
        Backend(
            "werkzeug", "werkzeug", _script("run_werkzeug.py"), note="for development", can_log=False, can_unix=False
        ),
    )
}


def before(server: Path) -> Backend:
    """Ropewalk as it stands in another checkout's `server/`: a change's before, beside its after."""
    return Backend(BEFORE, "", _ropewalk, server=server)


def version(backend: Backend) -> str:
    """The installed version, with that of what else it needs; raises `PackageNotFoundError`."""
    if not backend.package:
        text = (backend.server / "ropewalk" / "_version.py").read_text()
        return text.partition('__version__ = "')[2].partition('"')[0]
    found = importlib.metadata.version(backend.package)
    return f"{found} + {backend.needs} {importlib.metadata.version(backend.needs)}" if backend.needs else found


def missing() -> dict[str, str]:
    """The backends that cannot be started here, with the reason."""
    told: dict[str, str] = {}
    record = Path(sys.prefix, "bench-missing.json")
    if record.exists():
        told = json.loads(record.read_text())
    found = {}
    for backend in BACKENDS.values():
        for package in filter(None, (backend.package, backend.needs)):
            try:
                importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                found[backend.name] = told.get(package, f"{package} is not installed")
    return found


def tool(name: str) -> str | None:
    """Where a program is, looking also where Debian keeps those of root."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
