"""What the service manager is told: sd_notify(3), datagrams to the socket that `NOTIFY_SOCKET` names.

Main thread of the master only. Without such a socket every call does nothing. Nothing here raises: a manager that does
not listen must not cost a request.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

MICROSECONDS = 1_000_000


class Notifier:
    """Tells the service manager what this process is about."""

    def __init__(self, address: str = "", watchdog_seconds: float = 0.0) -> None:
        """`address` is a path, or an abstract name written with a leading `@`; "" for nobody to be told."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._is_silent = False
        self.watchdog_seconds = watchdog_seconds
        """Without a sign of life for so long, the manager ends the service; 0.0 for never."""

    def wait(self) -> None:
        """Say nothing until `promote`: the manager listens to another master."""
        self._is_silent = True

    def promote(self) -> None:
        """Speak for the service from now on."""
        self._is_silent = False

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Notifier:
        """What the environment says, which is taken out of it: no child is to speak for this process."""
        address, microseconds, pid = (environ.pop(name, "") for name in VARIABLES)
        is_meant = pid in ("", str(os.getpid()))
        # sd_notify(3) has these two forms; AF_VSOCK addresses are of a guest's own manager, which this is not.
        if not address.startswith(("/", "@")):
            address = ""
        is_number = microseconds.isascii() and microseconds.isdigit() and len(microseconds) <= 18
        has_watchdog = bool(address) and is_meant and is_number
        return cls(address, int(microseconds) / MICROSECONDS if has_watchdog else 0.0)

    def ready(self, status: str) -> None:
        """Everything that was asked for serves: after the start, or after a reload."""
        self._send("READY=1", f"MAINPID={os.getpid()}", f"STATUS={status}")

    def reloading(self, status: str) -> None:
        """A reload began; `ready` ends it."""
        # The manager tells by the time whether this answers its own request or an earlier one.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """The end began."""
        self._send("STOPPING=1", f"STATUS={status}")

    def hand_over(self, pid: int, status: str) -> None:
        """Another process, of the same service, is its main one from now on."""
        self._send(f"MAINPID={pid}", f"STATUS={status}")

    def status(self, status: str) -> None:
        """One line for people, which `systemctl status` shows."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        """The sign of life that the watchdog waits for."""
        self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if not self._address or self._is_silent:
            return
        lines = "\n".join(" ".join(assignment.splitlines()) for assignment in assignments)
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)  # a manager whose queue is full is not waited for
            sender.sendto(lines.encode("utf-8", "backslashreplace"), self._address)
