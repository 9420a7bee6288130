"""The servers that are compared, and the command that starts each with one process and a number of threads.

Each runs with its defaults, except for what every scenario needs: enough connections, keep-alive for 75 s, a backlog of
2048, and no access log unless the scenario asks for one.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.builds import COMPILED, build_of, fault
from bench.paths import APPLICATIONS, SERVER

BIN = Path(sys.prefix, "bin")
MISSING_PACKAGES = Path(sys.prefix, "bench-missing.json")  # written by install.py: by package, why it did not install

KEEP_ALIVE = "75"
BACKLOG = "2048"
CONNECTIONS = "20000"

BEFORE = "ropewalk-before"
NGINX = "nginx"
CERTIFICATE, KEY, STATIC = "certificate.pem", "key.pem", "static"  # in the folder of a run


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a server. `bind` is `HOST:PORT` or `unix:PATH`; an empty `access_log` means none."""

    application: str  # a module of bench/applications
    bind: str
    threads: int = 8
    access_log: str = ""
    workers: int = 1  # ignored by servers that have only one
    folder: str = ""  # of the run's files
    is_tls: bool = False
    is_static: bool = False  # Ropewalk serves the static files itself

    @property
    def module(self) -> str:
        return f"bench.applications.{self.application}"

    @property
    def target(self) -> str:
        return f"{self.module}:application"

    @property
    def tls_files(self) -> list[str]:
        """The certificate and its key, or nothing."""
        return [f"{self.folder}/{CERTIFICATE}", f"{self.folder}/{KEY}"] if self.is_tls else []

    @property
    def unix_path(self) -> str:
        return self.bind.removeprefix("unix:") if self.bind.startswith("unix:") else ""


@dataclass(frozen=True, slots=True)
class Server:
    """A server to compare. `package` is the distribution whose version is reported, `needs` another required one."""

    name: str
    package: str
    command: Callable[[Start], list[str]]
    needs: str = ""
    source: Path = SERVER  # the folder of the package ropewalk


def _ropewalk(start: Start) -> list[str]:
    command = [sys.executable, "-m", "ropewalk", start.target, "--bind", start.bind]
    command += ["--threads", str(start.threads), "--keep-alive", KEEP_ALIVE, "--log-level", "warning"]
    command += ["--workers", str(start.workers)] if start.workers > 1 else []
    command += [f"--static=/static={start.folder}/{STATIC}"] if start.is_static else []
    command += _tls(start, "--certfile", "--keyfile")
    return command + (["--access-logfile", start.access_log] if start.access_log else [])


def _tls(start: Start, *options: str) -> list[str]:
    return [word for pair in zip(options, start.tls_files, strict=False) for word in pair]


def _gunicorn(worker: str, parser: str) -> Callable[[Start], list[str]]:
    def command(start: Start) -> list[str]:
        words = [str(BIN / "gunicorn"), start.target, "--bind", start.bind, "--no-control-socket"]
        words += ["--worker-class", worker, "--http-parser", parser, "--keep-alive", KEEP_ALIVE]
        words += ["--backlog", BACKLOG, "--log-level", "warning", "--worker-connections", CONNECTIONS]
        words += ["--workers", str(start.workers)]
        if worker == "gthread":
            words += ["--threads", str(start.threads)]
        words += _tls(start, "--certfile", "--keyfile")
        return words + (["--access-logfile", start.access_log] if start.access_log else [])

    return command


def _waitress(start: Start) -> list[str]:
    command = [str(BIN / "waitress-serve"), "--threads", str(start.threads), "--connection-limit", CONNECTIONS]
    command += ["--asyncore-use-poll", "--backlog", BACKLOG, "--channel-timeout", KEEP_ALIVE]
    if start.unix_path:
        command += [f"--unix-socket={start.unix_path}", "--unix-socket-perms=666"]
    else:
        command += [f"--listen={start.bind}"]
    return [*command, start.target]


def _cheroot(start: Start) -> list[str]:
    command = [str(BIN / "cheroot"), start.target, "--bind", start.unix_path or start.bind]
    return [*command, "--threads", str(start.threads), "--timeout", KEEP_ALIVE, "--request-queue-size", BACKLOG]


def _granian(start: Start) -> list[str]:
    command = [str(BIN / "granian"), start.target, "--interface", "wsgi", "--workers"]
    command += [str(start.workers), "--blocking-threads", str(start.threads), "--http", "1", "--no-ws"]
    command += ["--log-level", "warning", "--backlog", BACKLOG]
    if start.unix_path:
        command += ["--uds", start.unix_path]
    else:
        host, _, port = start.bind.rpartition(":")
        command += ["--host", host, "--port", port]
    command += _tls(start, "--ssl-certificate", "--ssl-keyfile")
    return command + (["--log-level", "info", "--access-log"] if start.access_log else [])


def _uwsgi(start: Start) -> list[str]:
    command = [str(BIN / "uwsgi"), "--http11-socket", start.unix_path or start.bind, "--module"]
    command += [start.target, "--threads", str(start.threads), "--enable-threads"]
    command += ["--listen", BACKLOG, "--need-app", "--die-on-term", "--virtualenv", sys.prefix, "--http-keepalive"]
    command += ["--socket-timeout", KEEP_ALIVE, "--chmod-socket=666", "--processes", str(start.workers)]
    return command + (["--logto", start.access_log] if start.access_log else ["--disable-logging"])


def _script(name: str) -> Callable[[Start], list[str]]:
    return lambda start: [sys.executable, str(APPLICATIONS / name), start.module, start.bind]


def _fastpysgi(start: Start) -> list[str]:
    command = [sys.executable, str(APPLICATIONS / "run_fastpysgi.py"), start.module, start.bind]
    return [*command, str(start.workers), *start.tls_files]


def _nginx(start: Start) -> list[str]:
    return [sys.executable, str(APPLICATIONS / "run_nginx.py"), find_program("nginx") or "nginx", start.bind]


SERVERS = {
    server.name: server
    for server in (
        Server("ropewalk", "", _ropewalk),
        Server("ropewalk-compiled", "", _ropewalk, source=COMPILED),
        Server("gunicorn-gthread", "gunicorn", _gunicorn("gthread", "python")),
        Server("gunicorn-gthread-c", "gunicorn", _gunicorn("gthread", "fast"), "gunicorn-h1c"),  # its parser in C
        Server("gunicorn-sync", "gunicorn", _gunicorn("sync", "python")),
        Server("gunicorn-sync-c", "gunicorn", _gunicorn("sync", "fast"), "gunicorn-h1c"),
        Server("waitress", "waitress", _waitress),
        Server("cheroot", "cheroot", _cheroot),
        Server("granian", "granian", _granian),
        Server("uwsgi", "uwsgi", _uwsgi),
        Server("bjoern", "bjoern", _script("run_bjoern.py")),
        Server("fastpysgi", "fastpysgi", _fastpysgi),
        Server("werkzeug", "werkzeug", _script("run_werkzeug.py")),
        Server(NGINX, "", _nginx),
    )
}


def before(source: Path) -> Server:
    """Ropewalk from the `server/` of another checkout, to compare a change with its predecessor."""
    return Server(BEFORE, "", _ropewalk, source=source)


def source_version(source: Path) -> str:
    """`__version__` of the package ropewalk in that folder; `unknown` if it has none."""
    for module in sorted((source / "ropewalk").glob("_*.py")):
        found = re.search(r'^__version__ = "([^"]+)"', module.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return "unknown"


def version(server: Server) -> str:
    """The installed version, with that of the other package it needs. Raises `PackageNotFoundError`."""
    if server.name == NGINX:
        return nginx_version()
    if not server.package:
        return f"{source_version(server.source)} ({build_of(server.source) or 'pure'})"
    found = importlib.metadata.version(server.package)
    return f"{found} + {server.needs} {importlib.metadata.version(server.needs)}" if server.needs else found


def missing_servers() -> dict[str, str]:
    """The servers that cannot be started here: by name, why."""
    reasons: dict[str, str] = json.loads(MISSING_PACKAGES.read_text()) if MISSING_PACKAGES.exists() else {}
    found = {}
    if reason := fault():
        found["ropewalk-compiled"] = reasons.get("ropewalk", reason)
    if find_program("nginx") is None:
        found[NGINX] = "nginx is not installed"
    for server in SERVERS.values():
        for package in filter(None, (server.package, server.needs)):
            try:
                importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                found[server.name] = reasons.get(package, f"{package} is not installed")
    return found


def find_program(name: str) -> str | None:
    """The path of a program, also from the folders that Debian keeps for root."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")


def nginx_version() -> str:
    """As `nginx -v` prints it, or `unknown`."""
    try:
        done = subprocess.run([find_program("nginx") or "nginx", "-v"], capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stderr.strip().rpartition("/")[2] or "unknown"
