"""The commands for a running server: `ropewalk status`, `top`, `stacks`, `reload` and so on.

A client of the control socket (`control.commands`). The command is the first argument; a module with the name of a
command is served as `ropewalk status:application`. Exit status: 0; 1 if the command failed or the server is not
healthy; 2 for wrong usage.
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

from ropewalk.cli.stdio import print_error, print_out
from ropewalk.config.flags import COMMANDS, PROGRAM
from ropewalk.config.table import PREFIX
from ropewalk.control.commands import abstract_names
from ropewalk.control.server import is_own_user
from ropewalk.errors import ConfigError
from ropewalk.metrics.status_text import Interval, summary

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import ServerStatus

RESPONSE_SECONDS = 10.0
"""To wait for a response: the master gives its workers one second."""

UPGRADE_POLL_SECONDS = 0.1
"""Between checks whether a new master serves."""

VARIABLE = PREFIX + "CONTROL_SOCKET"
CLEAR = "\x1b[H\x1b[2J"


class CommandFailedError(Exception):
    """The command failed; the message is one line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(self.prog.removeprefix(f"{PROGRAM} "), None, message)


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Run the command `name`; returns the exit status. Raises ConfigError for wrong arguments."""
    options = make_parser(name).parse_args(arguments)
    try:
        return _RUN[name](options)
    except (CommandFailedError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        print_error(f"{PROGRAM} {name}: {reason}")
        return 1
    except KeyboardInterrupt:
        return 0


def make_parser(name: str) -> argparse.ArgumentParser:
    """The parser of the command `name`."""
    parser = _Parser(prog=f"{PROGRAM} {name}", description=f"{COMMANDS[name].capitalize()}.", allow_abbrev=False)
    parser.add_argument(
        "--control-socket",
        metavar="PATH",
        default=os.environ.get(VARIABLE, ""),
        help="the server's --control-socket, if that is a path (default: find the server of this user)",
    )
    parser.add_argument(
        "--process", metavar="PID", type=int, default=0, help="process id of the master, if several servers run here"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one line for each response")
    if name == "scale":
        parser.add_argument("workers", type=int, metavar="N", help="the number of workers, from 1 to 1024")
    elif name == "upgrade":
        parser.add_argument("--keep", action="store_true", help="keep the old master running too, as USR2 does")
    elif name == "stop":
        parser.add_argument("--quick", action="store_true", help="abort requests in flight, as INT does")
    elif name == "top":
        parser.add_argument(
            "--interval", metavar="SECONDS", type=float, default=1.0, help="seconds between refreshes [1]"
        )
        parser.add_argument(
            "--count", metavar="N", type=int, default=0, help="exit after N refreshes (default: on Ctrl-C)"
        )
    elif name == "healthcheck":
        parser.add_argument(
            "target", nargs="?", default="", metavar="URL|PATH", help="an http:// or https:// URL, or a control socket"
        )
    return parser


# The control socket


class ControlClient:
    """A connection to a master."""

    def __init__(self, path: str, pid: int) -> None:
        """Connect to the socket at `path`; or, without a path, to the only server of this user, or to master `pid`.

        Raises CommandFailedError.
        """
        self._sock = _connect(path) if path and path != "auto" else _find_server(pid)
        self._lines: IO[bytes] = self._sock.makefile("rb")

    def send(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The response to a command. Raises CommandFailedError."""
        self._sock.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
        line = self._lines.readline()
        if not line:
            raise CommandFailedError("the server closed the connection")
        response: dict[str, Any] = json.loads(line)
        if not response.pop("ok"):
            raise CommandFailedError(response["error"])
        return response

    def status(self) -> ServerStatus:
        """The status of the server. Raises CommandFailedError."""
        return cast("ServerStatus", self.send("status"))

    def close(self) -> None:
        self._lines.close()
        self._sock.close()

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _connect(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(RESPONSE_SECONDS)
        sock.connect(address)
    except OSError as error:
        sock.close()
        raise CommandFailedError(f"cannot connect to a server at {address}: {error.strerror}") from None
    return sock


def _find_server(pid: int) -> socket.socket:
    """Connect to the server of this user, or root's: any user could have taken the name, so the kernel is asked."""
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
        raise CommandFailedError(
            "no running server found for this user (if it uses --control-socket PATH, pass that path)"
        )
    from ropewalk.cli.server_list import described  # only to choose

    pids = sorted({int(name.split("/")[1]) for name in found})
    servers = "".join(f"\n  {described(each)}" for each in pids)
    raise CommandFailedError(f"several servers are running; choose one with --process PID:{servers}")


# The commands


def _status(options: argparse.Namespace) -> int:
    with _connect_to_server(options) as client:
        status = client.status()
    print_out(json.dumps(status) + "\n" if options.json else summary(status))
    return 0


def _top(options: argparse.Namespace) -> int:
    before: tuple[float, ServerStatus] | None = None
    count = 0
    with _connect_to_server(options) as client:
        while not options.count or count < options.count:
            if count:
                time.sleep(max(0.1, options.interval))
            status, now = client.status(), time.monotonic()
            if options.json:
                print_out(json.dumps(status) + "\n")
            else:
                text = summary(status, None if before is None else Interval(now - before[0], before[1], status))
                print_out(CLEAR + text if sys.stdout.isatty() else text + "\n")
            before = now, status
            count += 1
    return 0


def _stacks(options: argparse.Namespace) -> int:
    with _connect_to_server(options) as client:
        response = client.send("stacks")
    if options.json:
        print_out(json.dumps(response) + "\n")
        return 0
    for worker in response["workers"]:
        print_out(f"Worker {worker['pid']}\n{worker['stacks'] or 'not responding' + chr(10)}\n")
    return 0


def _upgrade(options: argparse.Namespace) -> int:
    with _connect_to_server(options) as client:
        client.send("upgrade")
        while True:
            status = client.status()
            upgrade = status["upgrade"]
            if upgrade["successor_ready"]:
                break
            if not upgrade["successor"]:
                raise CommandFailedError(upgrade["last_failure"] or "the new master has exited")
            time.sleep(UPGRADE_POLL_SECONDS)
        if not options.keep:
            client.send("stop")
    old, new = status["pid"], upgrade["successor"]
    what = "serves too" if options.keep else "is stopping"
    print_out(
        json.dumps({"old": old, "new": new}) + "\n"
        if options.json
        else f"the new master (process {new}) serves; the old one (process {old}) {what}\n"
    )
    return 0


def _send(command: str, message: str, *names: str) -> Callable[[argparse.Namespace], int]:
    """A command that sends the options `names` along, and prints `message`."""

    def run(options: argparse.Namespace) -> int:
        with _connect_to_server(options) as client:
            client.send(command, **{name: getattr(options, name) for name in names})
        print_out('{"ok": true}\n' if options.json else f"{message}\n")
        return 0

    return run


def _healthcheck(options: argparse.Namespace) -> int:
    target: str = options.target
    if target.startswith(("http://", "https://")):
        is_healthy, detail = _check_url(target)
    else:
        with ControlClient(target or options.control_socket, options.process) as client:
            status = client.status()
        is_healthy, detail = status["ready"], "ready" if status["ready"] else f"not ready: {status['state']}"
    print_out(json.dumps({"healthy": is_healthy, "detail": detail}) + "\n" if options.json else f"{detail}\n")
    return 0 if is_healthy else 1


def _check_url(url: str) -> tuple[bool, str]:
    parts = urlsplit(url)
    try:
        port, host = parts.port, parts.hostname
    except ValueError:
        port, host = None, None
    if not host:
        raise ConfigError("healthcheck", url, "must be http://HOST:PORT/PATH")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=RESPONSE_SECONDS)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        response = connection.getresponse()
    except http.client.HTTPException as error:
        raise CommandFailedError(f"invalid HTTP response: {type(error).__name__}") from None
    finally:
        connection.close()
    return 200 <= response.status < 300, f"{response.status} {response.reason}"


def _connect_to_server(options: argparse.Namespace) -> ControlClient:
    return ControlClient(options.control_socket, options.process)


_RUN: dict[str, Callable[[argparse.Namespace], int]] = {
    "status": _status,
    "top": _top,
    "stacks": _stacks,
    "reload": _send("reload", "reloading"),
    "upgrade": _upgrade,
    "stop": _send("stop", "stopping", "quick"),
    "scale": _send("scale", "scaling", "workers"),
    "healthcheck": _healthcheck,
}
