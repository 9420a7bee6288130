"""A master around a fake service, as a process (`programs/fake_master.py`), and what a test does to it."""

from __future__ import annotations

import socket

from tests.helpers.paths import PROGRAMS
from tests.helpers.processes import Running

PROGRAM = str(PROGRAMS / "fake_master.py")


class FakeMaster:
    """A running master and its port."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.port = int(running.wait_line(r"port (\d+)")[1])

    def ask(self, line: str) -> socket.socket:
        """A connection on which `line` was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(f"{line}\n".encode())
        return connection

    def answer(self, line: str) -> str:
        """What comes back for `line`."""
        with self.ask(line) as connection:
            return self.read(connection)

    @staticmethod
    def read(connection: socket.socket) -> str:
        return connection.makefile().readline().strip()

    def workers(self, count: int) -> list[int]:
        """The process ids of the first `count` workers that were ready."""
        return [int(match[1]) for match in self.running.wait_lines(r"Worker ready \(pid: (\d+)\)", count)]

    def has_traceback(self) -> bool:
        return "Traceback" in self.running.output
