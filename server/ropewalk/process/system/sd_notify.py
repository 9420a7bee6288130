"""Notifications to the service manager: sd_notify(3), datagrams to the socket that `NOTIFY_SOCKET` names.

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
    """Notifies the service manager of the server's state."""

    def __init__(self, address: str = "", watchdog_seconds: float = 0.0) -> None:
        """`address` is a path, or an abstract name written with a leading `@`; "" to notify nobody."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._is_muted = False
        self.watchdog_seconds = watchdog_seconds
        """The manager restarts a service that sends no `alive` for this long; 0.0 for never."""

    def mute(self) -> None:
        """Send nothing until `unmute`: another master notifies the manager."""
        self._is_muted = True

    def unmute(self) -> None:
        """Notify the manager from now on."""
        self._is_muted = False

    @classmethod
    def from_environ(cls, environ: MutableMapping[str, str]) -> Notifier:
        """By the variables of sd_notify(3), which are removed: no child may notify in place of this process."""
        address, microseconds, pid = (environ.pop(name, "") for name in VARIABLES)
        is_for_this_process = pid in ("", str(os.getpid()))
        # Two of the forms of sd_notify(3); an AF_VSOCK address is for the service manager of a virtual machine.
        if not address.startswith(("/", "@")):
            address = ""
        is_number = microseconds.isascii() and microseconds.isdigit() and len(microseconds) <= 18
        has_watchdog = bool(address) and is_for_this_process and is_number
        return cls(address, int(microseconds) / MICROSECONDS if has_watchdog else 0.0)

    def ready(self, status: str) -> None:
        """All workers serve, after the start or after a reload."""
        self._send("READY=1", f"MAINPID={os.getpid()}", f"STATUS={status}")

    def reloading(self, status: str) -> None:
        """A reload has begun; `ready` ends it."""
        # By this time the manager knows whether this is in response to its own request or to an earlier one.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """The server is stopping."""
        self._send("STOPPING=1", f"STATUS={status}")

    def hand_over(self, pid: int, status: str) -> None:
        """Another process is the main one of the service from now on."""
        self._send(f"MAINPID={pid}", f"STATUS={status}")

    def status(self, status: str) -> None:
        """One line for people, which `systemctl status` shows."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        """Reset the manager's watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if not self._address or self._is_muted:
            return
        lines = "\n".join(" ".join(assignment.splitlines()) for assignment in assignments)
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)  # never wait for a manager whose queue is full
            sender.sendto(lines.encode("utf-8", "backslashreplace"), self._address)
