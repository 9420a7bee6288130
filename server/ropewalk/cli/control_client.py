"""What an operator says to a running server: `ropewalk status`, `top`, `stacks`, `reload` and so on.

A client of the control socket (`process.control`). These words stand first on the command line; a module that is named
as one of them is served as `ropewalk status:application`. Exit status: 0, 1 when it failed or the server is not
healthy, 2 for a command that cannot be.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import urlsplit

from ropewalk.cli.stdio import print_error, say
from ropewalk.config.flags import COMMANDS, PROGRAM
from ropewalk.config.table import PREFIX
from ropewalk.control.commands import abstract_names
from ropewalk.control.server import is_own_user
from ropewalk.errors import ConfigError
from ropewalk.metrics.status_text import Interval, summary

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import ServerStatus

PATIENCE = 10.0
"""Seconds for an answer: the master gives its workers one."""

UPGRADE_LOOK = 0.1
"""Seconds between looks whether a new master serves."""

VARIABLE = PREFIX + "CONTROL_SOCKET"
CLEAR = "\x1b[H\x1b[2J"


class CommandFailedError(Exception):
    """The command failed; the message is one line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(self.prog.removeprefix(f"{PROGRAM} "), None, message)


def operate(name: str, arguments: Sequence[str]) -> int:
    """Run the command `name`; returns the exit status. Raises ConfigError for arguments that cannot be."""
    options = _parser(name).parse_args(arguments)
    try:
        return _RUN[name](options)
    except (CommandFailedError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        print_error(f"{PROGRAM} {name}: {reason}")
        return 1
    except KeyboardInterrupt:
        return 0


def _parser(name: str) -> _Parser:
    parser = _Parser(prog=f"{PROGRAM} {name}", description=COMMANDS[name], allow_abbrev=False)
    parser.add_argument("--control-socket", metavar="PATH", default=os.environ.get(VARIABLE, ""), help="the server's")
    parser.add_argument("--process", metavar="PID", type=int, default=0, help="of the master, where several run here")
    parser.add_argument("--json", action="store_true", help="answer with JSON, one line for each answer")
    if name == "scale":
        parser.add_argument("workers", type=int, metavar="N")
    elif name == "upgrade":
        parser.add_argument("--keep", action="store_true", help="keep the old master too, as USR2 does")
    elif name == "stop":
        parser.add_argument("--quick", action="store_true", help="abort what is in flight, as INT does")
    elif name == "top":
        parser.add_argument("--interval", metavar="SECONDS", type=float, default=1.0)
        parser.add_argument("--count", metavar="N", type=int, default=0, help="end after so many looks")
    elif name == "healthcheck":
        parser.add_argument("target", nargs="?", default="", metavar="URL|PATH", help="an address, or a control socket")
    return parser


# The control socket


class Control:
    """A conversation with a master."""

    def __init__(self, path: str, pid: int) -> None:
        """Connect to the socket at `path`, or to the only server of this user ("": found by its name)."""
        self._sock = _connect(path) if path and path != "auto" else _find(pid)
        self._lines: IO[bytes] = self._sock.makefile("rb")

    def ask(self, command: str, **more: Any) -> dict[str, Any]:
        """The answer to a command. Raises CommandFailedError."""
        self._sock.sendall(json.dumps({"command": command, **more}).encode() + b"\n")
        line = self._lines.readline()
        if not line:
            raise CommandFailedError("the server ended the conversation")
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok"):
            raise CommandFailedError(answer["error"])
        return answer

    def status(self) -> ServerStatus:
        """The status of the server. Raises CommandFailedError."""
        return cast("ServerStatus", self.ask("status"))

    def close(self) -> None:
        self._lines.close()
        self._sock.close()

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _connect(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(PATIENCE)
        sock.connect(address)
    except OSError as error:
        sock.close()
        raise CommandFailedError(f"no server answers at {address}: {error.strerror}") from None
    return sock


def _find(pid: int) -> socket.socket:
    """The server of this user, or of root: anybody can take a name, so who has it is asked of the kernel."""
    found: dict[str, socket.socket] = {}
    for name in set(abstract_names()):
        with suppress(CommandFailedError):
            sock = _connect(name)
            if is_own_user(sock) and (not pid or name.split("/")[1] == str(pid)):
                found[name] = sock
            else:
                sock.close()
    if len(found) == 1:
        return found.popitem()[1]
    for sock in found.values():
        sock.close()
    if not found:
        raise CommandFailedError("no server of yours runs here (or it has a --control-socket PATH: name it)")
    processes = ", ".join(sorted(name.split("/")[1] for name in found))
    raise CommandFailedError(f"several servers run here: choose one with --process ({processes})")


# The commands


def _status(options: argparse.Namespace) -> int:
    with _control(options) as control:
        status = control.status()
    say(json.dumps(status) + "\n" if options.json else summary(status))
    return 0


def _top(options: argparse.Namespace) -> int:
    before: tuple[float, ServerStatus] | None = None
    turn = 0
    with _control(options) as control:
        while not options.count or turn < options.count:
            if turn:
                time.sleep(max(0.1, options.interval))
            status, now = control.status(), time.monotonic()
            if options.json:
                say(json.dumps(status) + "\n")
            else:
                text = summary(status, None if before is None else Interval(now - before[0], before[1], status))
                say(CLEAR + text if sys.stdout.isatty() else text + "\n")
            before = now, status
            turn += 1
    return 0


def _stacks(options: argparse.Namespace) -> int:
    with _control(options) as control:
        answer = control.ask("stacks")
    if options.json:
        say(json.dumps(answer) + "\n")
        return 0
    for worker in answer["workers"]:
        say(f"Worker {worker['pid']}\n{worker['stacks'] or 'does not answer' + chr(10)}\n")
    return 0


def _upgrade(options: argparse.Namespace) -> int:
    with _control(options) as control:
        control.ask("upgrade")
        while True:
            status = control.status()
            upgrade = status["upgrade"]
            if upgrade["successor_ready"]:
                break
            if not upgrade["successor"]:
                raise CommandFailedError(upgrade["last_failure"] or "the new master has ended")
            time.sleep(UPGRADE_LOOK)
        if not options.keep:
            control.ask("stop")
    old, new = status["pid"], upgrade["successor"]
    rest = "serves too" if options.keep else "ends"
    say(json.dumps({"old": old, "new": new}) + "\n" if options.json else f"process {new} serves, {old} {rest}\n")
    return 0


def _simple(command: str, done: str, *names: str) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        with _control(options) as control:
            control.ask(command, **{name: getattr(options, name) for name in names})
        say('{"ok": true}\n' if options.json else f"{done}\n")
        return 0

    return run


def _healthcheck(options: argparse.Namespace) -> int:
    target: str = options.target
    if target.startswith(("http://", "https://")):
        is_healthy, detail = _ask_url(target)
    else:
        with Control(target or options.control_socket, options.process) as control:
            status = control.status()
        is_healthy, detail = bool(status["ready"]), "ready" if status["ready"] else f"not ready: {status['state']}"
    say(json.dumps({"healthy": is_healthy, "detail": detail}) + "\n" if options.json else f"{detail}\n")
    return 0 if is_healthy else 1


def _ask_url(url: str) -> tuple[bool, str]:
    parts = urlsplit(url)
    try:
        port, host = parts.port, parts.hostname
    except ValueError:
        port, host = None, None
    if not host:
        raise ConfigError("healthcheck", url, "must be http://HOST:PORT/PATH")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        response = connection.getresponse()
    except http.client.HTTPException as error:
        raise CommandFailedError(f"no answer that is HTTP: {type(error).__name__}") from None
    finally:
        connection.close()
    return 200 <= response.status < 300, f"{response.status} {response.reason}"


def _control(options: argparse.Namespace) -> Control:
    return Control(options.control_socket, options.process)


_RUN: dict[str, Callable[[argparse.Namespace], int]] = {
    "status": _status,
    "top": _top,
    "stacks": _stacks,
    "reload": _simple("reload", "reloading"),
    "upgrade": _upgrade,
    "stop": _simple("stop", "ending", "quick"),
    "scale": _simple("scale", "scaling", "workers"),
    "healthcheck": _healthcheck,
}
