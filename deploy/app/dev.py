#!/opt/venv/bin/python -u
"""Process 1 of a container of `make dev`: starts a program, and again whenever the project's code has changed.

    dev.py server           migrates, then serves with ropewalk, which reloads: the old code serves until the new does
    dev.py worker NAME      the command in the variable NAME

A program that ends, or code that cannot be imported, is said; the next change of a file starts it again.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import ask_project
import release

SOURCE = Path("/app")
INTERVAL = 0.7
"""Seconds between two looks at the files: bind mounts do not report changes on every machine."""
WATCHED = frozenset(
    (".py", ".html", ".jinja", ".jinja2", ".j2", ".txt", ".toml", ".yaml", ".yml", ".json", ".mo", ".ini")
)
IGNORED = frozenset(("node_modules", "venv", "env", "__pycache__", "site-packages"))
SERVER = ("ropewalk", "--bind", "0.0.0.0:8000", "--workers", "1", "--threads", "8", "--pid", "/tmp/backend.pid")
LOG = ("--access-logfile", "-", "--access-log-skip", "probe", "--access-logformat", "%(s)s %(r)s %(M)s ms")


def say(text: str) -> None:
    print(f"dev: {text}", flush=True)


def files(folder: Path) -> Iterator[tuple[str, int]]:
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in IGNORED and not name.startswith(".")]
        for name in names:
            if os.path.splitext(name)[1] in WATCHED:
                try:
                    yield (place := os.path.join(path, name)), os.stat(place).st_mtime_ns
                except OSError:  # gone meanwhile
                    continue


def changed(before: dict[str, int], after: dict[str, int]) -> str:
    """A file that is new, gone or different; empty if there is none."""
    return min((name for name in before.keys() | after.keys() if before.get(name) != after.get(name)), default="")


class Program:
    """The one that runs, or none."""

    def __init__(self, command: list[str], *, can_reload: bool) -> None:
        self._command = command
        self._can_reload = can_reload
        self._process: subprocess.Popen[bytes] | None = None
        self._has_ended = True

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        self._has_ended = False

    def look(self) -> None:
        if not self._has_ended and self._process and self._process.poll() is not None:
            self._has_ended = True
            say(f"{self._command[0]} ended with status {self._process.returncode}; a change of a file starts it again")

    def renew(self) -> None:
        if self._can_reload and self._process and not self._has_ended:
            self._process.send_signal(signal.SIGHUP)
            return
        self.stop()
        self.start()

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def prepare_server() -> list[str]:
    """Migrates, and returns the options of the server that depend on the project. What fails is said."""
    try:
        answer: dict[str, Any] = {**ask_project.ask(Path(), top=SOURCE)}
    except RuntimeError as error:
        say(f"the project cannot be imported: {error}")
        return []
    if release.check_databases() or release.create(answer, Path("/data")):
        say("the database could not be prepared: the lines above say why")
    url, root = answer.get("media_url") or "", answer.get("media_root")
    return ["--static", f"{url}={root}"] if url.startswith("/") and url != "/" and root and Path(root).is_dir() else []


def main(arguments: list[str]) -> int:
    is_server = arguments[0] == "server"
    signal.signal(signal.SIGTERM, _end)
    before = dict(files(SOURCE))
    options = prepare_server() if is_server else []
    command = (
        [*SERVER, *LOG, *options, "dev_application:application"] if is_server else ["/kit/bin/worker.py", arguments[1]]
    )
    program = Program(command, can_reload=is_server)
    program.start()
    try:
        while True:
            time.sleep(INTERVAL)
            program.look()
            after = dict(files(SOURCE))
            if name := changed(before, after):
                say(f"{Path(name).relative_to(SOURCE)} has changed")
                if is_server and "/migrations/" in name:
                    prepare_server()
                program.renew()
            before = after
    except (SystemExit, KeyboardInterrupt):
        program.stop()
        return 0


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
