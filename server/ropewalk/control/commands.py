"""The control socket: a Unix socket at which the master takes commands, lines of JSON that are answered by lines.

    {"command": "status"}          {"command": "stacks"}
    {"command": "reload"}          {"command": "scale", "workers": 4}
    {"command": "stop"}            {"command": "stop", "quick": true}
    {"command": "upgrade"}

An answer is `{"ok": true, ...}` or `{"ok": false, "error": "one line"}`.

*Where it is.* Unless a path is set, it has a name of the abstract namespace (unix(7)), `@ropewalk/PID/RANDOM`: nothing
is written to a file system, which may be read-only, and nothing is left behind. Such a name has no mode; instead the
kernel tells who connects, and only the master's own user and root are listened to: those who could send it signals as
well. A socket with a path has the mode 0600.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ropewalk.control.inquiries import Answers, ControlHub
from ropewalk.control.server import ClientConnection
from ropewalk.metrics.counters import add_counters, add_gauges

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import ServerStatus

CONTROL = "control"
"""The control socket's key among the listening sockets of a master."""

ABSTRACT = "\0"
NAME_PREFIX = "ropewalk/"
NAMES_FILE = "/proc/net/unix"

MAX_COMMAND_OCTETS = 4096


def open_abstract() -> socket.socket:
    """A listening socket with a name of this process's. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # By chance too: in two containers that share a network, and its names, the masters may share their process id.
        listener.bind(f"{ABSTRACT}{NAME_PREFIX}{os.getpid()}/{os.urandom(4).hex()}")
        listener.listen(16)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def abstract_names() -> Iterator[str]:
    """The addresses of the servers that run here, of whichever user."""
    with open(NAMES_FILE, encoding="utf-8", errors="replace") as lines:  # others name theirs as they like
        for line in lines:
            name = line.rstrip("\n").split(" ")[-1]
            if name.startswith("@" + NAME_PREFIX):
                yield ABSTRACT + name[1:]


class CommandHandler:
    """A visitor who gives commands."""

    def __init__(self, office: ControlHub, conversation: ClientConnection) -> None:
        self._office = office
        self._conversation = conversation
        self._partial = b""

    def receive(self, octets: bytes) -> None:
        *lines, self._partial = (self._partial + octets).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._partial) > MAX_COMMAND_OCTETS:
            self._fail("a command is a line of at most 4096 octets", is_last=True)

    def _take(self, line: bytes) -> None:
        try:
            command = json.loads(line)
            name = command["command"]
        except (ValueError, TypeError, KeyError, RecursionError):
            self._fail('a command is a line of JSON, as {"command": "status"}')
            return
        chief = self._office.chief
        match name:
            case "status":
                self._office.inquire("status", self._tell_status)
            case "stacks":
                self._office.inquire("stacks", self._tell_stacks)
            case "reload":
                self._done(chief.reload())
            case "upgrade":
                self._done(chief.upgrade())
            case "stop":
                self._done("")
                chief.stop(is_quick=command.get("quick") is True)
            case "scale":
                workers = command.get("workers")
                if not isinstance(workers, int) or isinstance(workers, bool) or not 1 <= workers <= 1024:
                    self._fail("workers must be an integer from 1 to 1024")
                else:
                    self._done(chief.scale(workers))
            case _:
                self._fail(f"no such command: {str(name)[:40]}")

    def _tell_status(self, answers: Answers) -> None:
        self._answer({**status_with(self._office, answers)})

    def _tell_stacks(self, answers: Answers) -> None:
        self._answer({"workers": [{"pid": pid, "stacks": stacks} for pid, stacks in sorted(answers.items())]})

    def _done(self, error: str) -> None:
        if error:
            self._fail(error)
        else:
            self._answer({})

    def _answer(self, content: dict[str, Any]) -> None:
        self._conversation.send(json.dumps({"ok": True, **content}).encode() + b"\n")

    def _fail(self, error: str, *, is_last: bool = False) -> None:
        self._conversation.send(json.dumps({"ok": False, "error": error}).encode() + b"\n", is_last=is_last)


def status_with(office: ControlHub, answers: Answers) -> ServerStatus:
    """The master's status, completed with the snapshots that its workers replied with."""
    status = office.chief.status()
    for worker in status["workers"]:
        worker["snapshot"] = answers.get(worker["pid"])
    counters = [view.counters for view in office.chief.workers() if view.counters is not None]
    return {
        "version": office.version,
        **status,
        "totals": add_counters([office.gone, *counters]),
        "gauges": add_gauges(each["snapshot"]["gauges"] for each in status["workers"] if each["snapshot"] is not None),
    }
