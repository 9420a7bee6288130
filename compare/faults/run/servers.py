"""The servers under test and how each is started.

All get the same workers, threads, timeouts, access log and error log; everything else is their default.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.paths import SERVER
from bench.servers import source_version

GRACEFUL_TIMEOUT = 10
KEEP_ALIVE = 75  # gunicorn's default of 2 would close connections that the load still uses


@dataclass(frozen=True, slots=True)
class Start:
    """The settings with which a scenario starts a server."""

    workers: int = 3
    threads: int = 4
    timeout: int = 30  # seconds
    graceful_timeout: int = GRACEFUL_TIMEOUT
    access_log: str = "access.log"  # in the folder of the run; `-` is standard output
    error_log: str = "error.log"
    descriptors: int = 0  # limit per process; 0: that of this process
    is_nobody: bool = False  # run as an unprivileged user, so that RLIMIT_NPROC applies
    has_movable_clock: bool = False
    own_options: tuple[str, ...] = ()  # that Ropewalk alone has


@dataclass(frozen=True, slots=True)
class Server:
    """A server: its command without the options that all have in common."""

    name: str
    command: tuple[str, ...]
    version: Callable[[], str]
    environ: Mapping[str, str] = field(default_factory=dict)
    has_own_options: bool = False

    def command_for(self, start: Start) -> list[str]:
        words = [*self.command, "--bind", "127.0.0.1:0", "--workers", str(start.workers)]
        words += ["--threads", str(start.threads), "--timeout", str(start.timeout), "--pid", "server.pid"]
        words += ["--graceful-timeout", str(start.graceful_timeout), "--keep-alive", str(KEEP_ALIVE)]
        words += ["--access-logfile", start.access_log, "--error-logfile", start.error_log]
        if self.has_own_options:
            words += start.own_options
        return [*words, "target:application"]


ROPEWALK = Server(
    name="ropewalk",
    command=(sys.executable, "-m", "ropewalk"),
    version=lambda: source_version(SERVER),
    environ={"PYTHONPATH": str(SERVER)},
    has_own_options=True,
)
GUNICORN = Server(
    name="gunicorn",
    command=(str(Path(sys.executable).with_name("gunicorn")), "--worker-class", "gthread", "--no-control-socket"),
    version=lambda: importlib.metadata.version("gunicorn"),
)
SERVERS = {server.name: server for server in (ROPEWALK, GUNICORN)}
