"""A master with a small service of sockets and threads, so that processes are tested without HTTP.

A client sends one line and gets one back: `pid`, or `wait NAME`, which is answered when the file NAME is there.
`spin NAME` computes in Python until the file is there, then answers too.
Arguments: workers, timeout, graceful timeout, watchdog, drain delay, silence; `boot` is a file that says what booting
does, read each time, `reload` one that says how many workers there are from then on.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.metrics.counters import Metrics
from ropewalk.metrics.snapshot import WorkerSnapshot
from ropewalk.process.master.master import BootError, Master
from ropewalk.process.master.upgrade import Command, Predecessor, Upgrade
from ropewalk.process.options import ProcessOptions
from ropewalk.process.system.sd_notify import Notifier

really_fork = os.fork


def fork() -> int:
    """As fork(2), unless the file `no-fork` says with which error number it is to fail."""
    if Path("no-fork").exists():
        number = int(Path("no-fork").read_text())
        raise OSError(number, os.strerror(number))
    return really_fork()


def say(line: str) -> None:
    """Tell the test, in one piece."""
    os.write(1, f"{line}\n".encode())


@dataclass
class Counts:
    finished: int = 0
    aborted: int = 0


class FakeService:
    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.stop = threading.Event()
        self.lock = threading.Condition()
        self.in_flight: dict[int, tuple[str, float]] = {}

    def start(self) -> None:
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        self.listener.settimeout(0.02)
        while not self.stop.is_set():
            try:
                connection, _ = self.listener.accept()
            except TimeoutError:
                continue
            with self.lock:
                self.in_flight[id(connection)] = ("accepted", time.monotonic())
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection:
            line = connection.makefile().readline().split()
            with self.lock:
                self.in_flight.pop(id(connection))
                self.in_flight[threading.get_ident()] = (" ".join(line), time.monotonic())
            if line and line[0] == "wait":
                say("waiting")
                while not Path(line[1]).exists():
                    time.sleep(0.01)
            if line and line[0] == "spin":
                say("spinning")
                while not Path(line[1]).exists():
                    sum(range(100_000))
            connection.sendall(f"{os.getpid()}\n".encode())
        with self.lock:
            del self.in_flight[threading.get_ident()]
            self.lock.notify_all()

    def running(self) -> list[tuple[int, str, float]]:
        with self.lock:
            return [(ident, text, since) for ident, (text, since) in self.in_flight.items()]

    def timeout_of(self, thread: int, since: float) -> float:
        return float(sys.argv[2])

    def interrupt(self, thread: int, since: float) -> bool:
        return False

    def served(self) -> int:
        return 0

    def snapshot(self) -> WorkerSnapshot:
        return {
            "counters": {**Metrics().counters(), "log_messages": {}, "log_lost": {}},
            "gauges": {
                "in_flight": 0,
                "waiting": 0,
                "threads": {"active": 0, "parked": 0, "limit": 0},
                "connections": {},
            },
            "running": [],
        }

    def drain(self, deadline: float) -> Counts:
        self.stop.set()
        with self.lock:
            count = len(self.in_flight)
            self.lock.wait_for(lambda: not self.in_flight, max(0.0, deadline - time.monotonic()))
            return Counts(count - len(self.in_flight), len(self.in_flight))

    def announce_end(self) -> None:
        say(f"announced by {os.getpid()}")

    def close(self) -> None:
        self.stop.set()


@dataclass
class FakeProgram:
    listener: socket.socket

    def boot(self) -> FakeService:
        script = Path("boot").read_text() if Path("boot").exists() else ""
        try:
            exec(script, {"listener": self.listener})
        except ZeroDivisionError as error:
            raise ConfigError("fake", script.strip(), "cannot be divided") from error
        return FakeService(self.listener)

    def reloaded(self) -> tuple[FakeProgram, ProcessOptions]:
        text = Path("reload").read_text() if Path("reload").exists() else sys.argv[1]
        if not text.isdigit():
            raise ConfigError("reload", text, "must be a number")
        return self, options(text)

    def shared(self) -> dict[str, list[int]]:
        return {"fake": [self.listener.fileno()]}

    def turn_away(self) -> bool:
        return False

    def let_go(self, *, is_shared: bool) -> None:
        self.listener.close()

    def promote(self) -> None:
        say(f"promoted {os.getpid()}")

    def reopen_logs(self) -> None:
        get_logger().reopen()
        say(f"reopened by {os.getpid()}")

    def finish(self) -> None:
        say("finished")


def options(workers: str) -> ProcessOptions:
    timeout, graceful_timeout, watchdog, drain_delay, silence = map(float, sys.argv[2:7])
    slow_boot = float(os.environ.get("SLOW_BOOT", "30"))
    return ProcessOptions(int(workers), timeout, graceful_timeout, drain_delay, watchdog, silence, slow_boot)


def main() -> int:
    os.fork = fork
    directory, predecessor = os.getcwd(), Predecessor.take(os.environ)
    if predecessor is not None:
        listener = socket.socket(fileno=predecessor.listeners["fake"][0])
        listener.set_inheritable(False)
    else:
        listener = socket.create_server(("127.0.0.1", 0))
    succession = Upgrade(Command(directory, dict(os.environ)), predecessor)
    say(f"port {listener.getsockname()[1]}")
    get_logger().configure("-", "debug")
    try:
        Master(FakeProgram(listener), options(sys.argv[1]), Notifier.take(os.environ), None, succession).run()
    except BootError as error:
        succession.tell_failure(str(error))
        say(f"boot error: {error}")
        return BootError.status
    say("master ends")
    return 0


if __name__ == "__main__":
    sys.exit(main())
