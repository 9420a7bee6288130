"""A master around the fake service, and what one does to it."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("fake_program.py")


class FakeMaster:
    """A running master and its port."""

    def __init__(self, running: Any) -> None:
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

    def is_silent_about_tracebacks(self) -> bool:
        return re.search("Traceback", self.running.output) is None


@pytest.fixture
def start_master(start: Callable[..., Any]) -> Callable[..., FakeMaster]:
    """Starts a master with so many workers and those times."""

    def start_master(
        workers: int = 1,
        *,
        timeout: float = 0,
        graceful_timeout: float = 15,
        watchdog: float = 0,
        drain_delay: float = 0,
        silence: float = 0,
        **env: str,
    ) -> FakeMaster:
        numbers = [str(number) for number in (workers, timeout, graceful_timeout, watchdog, drain_delay, silence)]
        return FakeMaster(start(sys.executable, str(PROGRAM), *numbers, env=env))

    return start_master
