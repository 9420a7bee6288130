"""Several workers: each does its share, however few the connections are, over TCP and over a Unix socket."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.http_client import Client

REQUESTS = 10_000
TURN = 250  # requests sent at once
BUSIEST = 1.3  # times the mean
TRIES = 3  # on a machine so busy that a worker does not run for `PATIENCE`, others take its connections
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
APPLICATION = """
import os
def application(environ, start_response):
    content = b"%08d" % os.getpid()
    start_response("200 OK", [("Content-Length", "8")])
    return [content]
"""

WaitFor = Callable[[Callable[[], object], str], None]


class Several:
    """A master with its workers, all of them ready."""

    def __init__(self, start: Any, folder: Path, workers: int, kind: str) -> None:
        (folder / "whose.py").write_text(APPLICATION)
        bind = f"unix:{folder}/socket" if kind == "unix" else "127.0.0.1:0"
        command = [sys.executable, "-m", "ropewalk", "whose:application", "--bind", bind, "--workers", str(workers)]
        command += ["--request-head-timeout", "60"]  # on a busy machine the last client waits longer for its turn
        self.running = start(*command)
        self.workers = workers
        self.address: Any = f"{folder}/socket"
        if kind == "tcp":
            self.address = ("127.0.0.1", int(self.running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+)")[1]))
        self.running.wait_line(rf"Ready: {workers} workers")

    def pids(self) -> list[int]:
        return [int(found[1]) for found in re.finditer(r"Booting worker with pid: (\d+)", self.running.output)]

    def ask(self, client: Client, count: int) -> Counter[str]:
        client.send(GET * count)
        return Counter(client.read_response()[1].decode() for _ in range(count))

    def is_even(self, counts: Counter[str]) -> bool:
        return max(counts.values()) <= BUSIEST * counts.total() / self.workers


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize(("workers", "connections"), [(2, 2), (2, 4), (4, 4), (4, 8), (4, 64)])
def test_kept_connections_are_spread(start: Any, tmp_path: Path, kind: str, workers: int, connections: int) -> None:
    several = Several(start, tmp_path, workers, kind)
    for _ in range(TRIES):
        counts: Counter[str] = Counter()
        with ExitStack() as stack:
            clients = [Client(several.address) for _ in range(connections)]
            for client in clients:
                stack.callback(client.sock.close)
            for _ in range(-(-REQUESTS // connections // TURN)):
                for client in clients:
                    counts += several.ask(client, TURN)
        assert counts.total() >= REQUESTS
        if several.is_even(counts):
            return
    pytest.fail(f"{counts} the last time")


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_short_connections_are_spread(start: Any, tmp_path: Path, kind: str) -> None:
    """One after another, so that each finds all workers asleep."""
    several = Several(start, tmp_path, 2, kind)
    counts: Counter[str] = Counter()
    for _ in range(400):
        client = Client(several.address)
        counts += several.ask(client, 25)
        client.sock.close()
    assert counts.total() == REQUESTS
    assert several.is_even(counts), counts


def is_out_of_work(pid: int) -> bool:
    """Whether a process is stopped, or has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] in "TZX"
    except OSError:
        return True


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_worker_that_is_stuck_or_dead_does_not_hold_connections_up(
    start: Any, tmp_path: Path, number: signal.Signals, wait_for: WaitFor
) -> None:
    """It has the fewest connections forever, and yet all are answered."""
    several = Several(start, tmp_path, 2, "tcp")
    clients = [Client(several.address) for _ in range(8)]
    for client in clients:
        several.ask(client, 1)
    stuck = several.pids()[0]
    os.kill(stuck, number)
    # Until then it may still take a connection, and that one is held up indeed.
    wait_for(lambda: is_out_of_work(stuck), "the signal")
    held = [Client(several.address) for _ in range(30)]
    for client in held:
        client.send(GET)
    assert sum(client.read_response()[1] != b"" for client in held) == len(held)
    if number is signal.SIGSTOP:
        os.kill(stuck, signal.SIGCONT)
    for client in (*clients, *held):
        client.sock.close()
