"""The control socket: a Unix socket on which the master takes commands. Commands and responses are lines of JSON.

    {"command": "status"}          {"command": "stacks"}
    {"command": "reload"}          {"command": "scale", "workers": 4}
    {"command": "stop"}            {"command": "stop", "quick": true}
    {"command": "upgrade"}

A response is `{"ok": true, ...}` or `{"ok": false, "error": "one line"}`.

By default the socket has a name in the abstract namespace (unix(7)), `@ropewalk/PID/RANDOM`: this needs no writable
file system, and leaves nothing behind. Such a name has no mode. Instead the kernel says which user connects, and only
root and the master's own user are served: those who could send it signals as well. A socket with a path has the mode
0600.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ropewalk.control.inquiries import ControlHub, Results
from ropewalk.control.server import ClientConnection
from ropewalk.process.master.api import Refused

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import ServerStatus

CONTROL = "control"
"""The control socket's key among the listening sockets of a master."""

ABSTRACT = "\0"
NAME_PREFIX = "ropewalk/"
NAMES_FILE = "/proc/net/unix"

MAX_COMMAND_OCTETS = 4096

MAX_WORKERS = 1024


def open_abstract_socket() -> socket.socket:
    """A listening socket with an abstract name of this process. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Random as well: in containers that share a network, and so these names, masters may have equal process ids.
        listener.bind(f"{ABSTRACT}{NAME_PREFIX}{os.getpid()}/{os.urandom(4).hex()}")
        listener.listen(16)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def abstract_names() -> Iterator[str]:
    """The abstract addresses of the servers on this machine, of any user."""
    with open(NAMES_FILE, encoding="utf-8", errors="replace") as lines:  # names of other programs may be any bytes
        for line in lines:
            name = line.rstrip("\n").split(" ")[-1]
            if name.startswith("@" + NAME_PREFIX):
                yield ABSTRACT + name[1:]


class CommandHandler:
    """Runs the commands of one client."""

    def __init__(self, hub: ControlHub, client: ClientConnection) -> None:
        self._hub = hub
        self._client = client
        self._partial = b""

    def receive(self, octets: bytes) -> None:
        """Run the commands that are complete."""
        *lines, self._partial = (self._partial + octets).split(b"\n")
        for line in lines:
            self._handle_line(line)
        if len(self._partial) > MAX_COMMAND_OCTETS:
            self._fail(f"a command must be at most {MAX_COMMAND_OCTETS} bytes long", is_last=True)

    def _handle_line(self, line: bytes) -> None:
        try:
            command = json.loads(line)
            name = command["command"]
        except (ValueError, TypeError, KeyError, RecursionError):
            self._fail('a command must be a line of JSON, such as {"command": "status"}')
            return
        try:
            self._run(name, command)
        except Refused as error:
            self._fail(str(error))

    def _run(self, name: object, command: Mapping[str, Any]) -> None:
        """Run a command, and respond now or later. Raises Refused."""
        master = self._hub.master
        match name:
            case "status":
                self._hub.status(self._send_status)
            case "stacks":
                self._hub.ask_workers("stacks", self._send_stacks)
            case "reload":
                master.reload()
                self._respond({})
            case "upgrade":
                master.upgrade()
                self._respond({})
            case "stop":
                self._respond({})
                master.stop(is_quick=command.get("quick") is True)
            case "scale":
                master.scale(_read_workers(command.get("workers")))
                self._respond({})
            case _:
                raise Refused(f"no such command: {str(name)[:40]}")

    def _send_status(self, status: ServerStatus) -> None:
        self._respond({**status})

    def _send_stacks(self, stacks: Results) -> None:
        self._respond({"workers": [{"pid": pid, "stacks": text} for pid, text in sorted(stacks.items())]})

    def _respond(self, content: dict[str, Any]) -> None:
        self._client.send(json.dumps({"ok": True, **content}).encode() + b"\n")

    def _fail(self, error: str, *, is_last: bool = False) -> None:
        self._client.send(json.dumps({"ok": False, "error": error}).encode() + b"\n", is_last=is_last)


def _read_workers(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_WORKERS:
        raise Refused(f"workers: must be an integer from 1 to {MAX_WORKERS}")
    return value
