"""A master with a small service of sockets and threads, so that processes are tested without HTTP.

A client sends a line and receives the process id of the worker: for `pid` at once, for `wait NAME` once the file NAME
exists, for `spin NAME` too, which computes in Python meanwhile.
Arguments: workers, timeout, graceful timeout, watchdog, drain delay, heartbeat timeout. Two files are read each time,
if they exist: `boot`, a script that a worker runs to boot, and `reload`, the number of workers after a reload.
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
from ropewalk.metrics.counters import add_gauges, no_counters
from ropewalk.metrics.snapshot import WorkerSnapshot
from ropewalk.process.master.master import BootError, Master
from ropewalk.process.master.upgrade import Predecessor, StartCommand, Upgrade
from ropewalk.process.options import ProcessOptions
from ropewalk.process.system.directory import start_directory
from ropewalk.process.system.sd_notify import Notifier
from ropewalk.process.worker.watchdog import Running

really_fork = os.fork


def fork() -> int:
    """As fork(2), unless a file `no-fork` holds the number of the error to fail with."""
    if Path("no-fork").exists():
        number = int(Path("no-fork").read_text())
        raise OSError(number, os.strerror(number))
    return really_fork()


def print_line(line: str) -> None:
    """Write to the test in one piece, whatever other processes write."""
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
        self.count = 0

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
                print_line("waiting")
                while not Path(line[1]).exists():
                    time.sleep(0.01)
            if line and line[0] == "spin":
                print_line("spinning")
                while not Path(line[1]).exists():
                    sum(range(100_000))
            connection.sendall(f"{os.getpid()}\n".encode())
        with self.lock:
            del self.in_flight[threading.get_ident()]
            self.count += 1
            self.lock.notify_all()

    def running(self) -> list[Running]:
        with self.lock:
            return [Running(ident, text, since) for ident, (text, since) in self.in_flight.items()]

    def timeout_of(self, thread: int, since: float) -> float:
        return float(sys.argv[2])

    def capacity(self) -> int:
        return 1000

    def interrupt(self, thread: int, since: float) -> bool:
        return False

    def served(self) -> int:
        return self.count

    def snapshot(self) -> WorkerSnapshot:
        return {
            "counters": no_counters(),
            "gauges": add_gauges([]),
            "running": [],
        }

    def drain(self, deadline: float) -> Counts:
        self.stop.set()
        with self.lock:
            count = len(self.in_flight)
            self.lock.wait_for(lambda: not self.in_flight, max(0.0, deadline - time.monotonic()))
            return Counts(count - len(self.in_flight), len(self.in_flight))

    def announce_end(self) -> None:
        print_line(f"announced by {os.getpid()}")

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

    def reload(self) -> tuple[FakeProgram, ProcessOptions]:
        text = Path("reload").read_text() if Path("reload").exists() else sys.argv[1]
        if not text.isdigit():
            raise ConfigError("reload", text, "must be a number")
        return self, options(text)

    def inheritable_fds(self) -> dict[str, list[int]]:
        return {"fake": [self.listener.fileno()]}

    def refuse_new_connections(self) -> bool:
        return False

    def release_listeners(self, *, is_shared: bool) -> None:
        self.listener.close()

    def take_over_files(self) -> None:
        print_line(f"files taken over by {os.getpid()}")

    def reopen_logs(self) -> None:
        get_logger().reopen()
        print_line(f"reopened by {os.getpid()}")

    def close(self) -> None:
        print_line("program closed")


def options(workers: str) -> ProcessOptions:
    timeout, graceful_timeout, watchdog, drain_delay, heartbeat_timeout = map(float, sys.argv[2:7])
    slow_boot = float(os.environ.get("SLOW_BOOT", "30"))
    handover = float(os.environ.get("HANDOVER", "60"))
    return ProcessOptions(
        int(workers), timeout, graceful_timeout, drain_delay, watchdog, heartbeat_timeout, slow_boot, handover
    )


def main() -> int:
    os.fork = fork
    predecessor = Predecessor.from_environ(os.environ)
    command = StartCommand.of_this_process(start_directory(os.environ), dict(os.environ))
    if predecessor is not None:
        listener = socket.socket(fileno=predecessor.listeners["fake"][0])
        listener.set_inheritable(False)
    else:
        listener = socket.create_server(("127.0.0.1", 0))
    upgrade = Upgrade(command, predecessor)
    print_line(f"port {listener.getsockname()[1]}")
    get_logger().configure("-", "debug")
    try:
        Master(FakeProgram(listener), options(sys.argv[1]), Notifier.from_environ(os.environ), None, upgrade).run()
    except BootError as error:
        upgrade.report_failure(str(error))
        print_line(f"boot error: {error}")
        return BootError.status
    print_line("master ends")
    return 0


if __name__ == "__main__":
    sys.exit(main())
