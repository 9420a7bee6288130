"""Workers that are replaced under load: no request is lost, and never all of them are replaced at once."""

from __future__ import annotations

import http.client
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

APPLICATION = """\
import os

if "HEAVY" in os.environ:
    import ballast

held = []

def application(environ, start_response):
    if environ["PATH_INFO"] == "/grow":
        held.append(b"x" * (1 << 17))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

LISTENING = r"Listening at: http://127\.0\.0\.1:(\d+) "
CLIENTS = 3


def serve(start: Callable[..., Any], project: Path, *arguments: str) -> tuple[Any, int]:
    (project / "shop.py").write_text(APPLICATION)
    running = start(sys.executable, "-W", "error", "-m", "ropewalk", "-b", "127.0.0.1:0", *arguments, "shop")
    running.wait_line("Ready: ")
    return running, int(running.wait_line(LISTENING)[1])


class Load:
    """Clients that ask some hundred times a second: one over a new connection each time, the others over kept ones.

    As RFC 9112 section 9.3.1 has it, these ask again when a connection that was kept turns out to be closed.
    """

    def __init__(self, port: int, target: str) -> None:
        self._port, self._target = port, target
        self._stop = threading.Event()
        self.answered_by: list[set[str]] = [set() for _ in range(CLIENTS)]
        self.faults: list[BaseException] = []
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]

    def _ask(self, number: int) -> None:
        try:
            connection, is_kept = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20), False
            while not self._stop.is_set():
                try:
                    connection.request("GET", self._target)
                    response = connection.getresponse()
                except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                    if not is_kept:
                        raise
                    connection.close()
                    is_kept = False
                    continue
                assert response.status == 200
                self.answered_by[number].add(response.read().decode())
                if not number:
                    connection.close()
                is_kept = connection.sock is not None
                self._stop.wait(0.003)
            connection.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer to the test's question
            self.faults.append(error)

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()


def most_at_once(output: str) -> int:
    """How many workers were ever booting at a time, after the first `Ready`."""
    booting = most = 0
    for event in re.findall(r"Booting worker|Worker ready", output.partition("Ready: ")[2]):
        booting += 1 if event == "Booting worker" else -1
        most = max(most, booting)
    return most


def test_workers_that_served_enough_are_replaced_and_no_request_is_lost(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    running, port = serve(
        start, tmp_path, "-w", "2", "--max-requests", "40", "--max-requests-jitter", "5", "--log-level", "debug"
    )
    load = Load(port, "/")
    with load.running():
        running.wait_lines(r"is being replaced: it has served \d+ requests", 4)
        running.wait_lines(r"Worker exiting", 3)
    assert not load.faults
    assert len(set.union(*load.answered_by)) >= 4
    assert most_at_once(running.output) == 1
    assert ", 0 aborted" in running.output
    assert not re.search("[1-9][0-9]* aborted|Traceback|killing it", running.output)


def test_a_worker_that_grew_is_replaced(start: Callable[..., Any], tmp_path: Path) -> None:
    running, port = serve(start, tmp_path, "--max-rss", "96M")
    load = Load(port, "/grow")
    with load.running():
        running.wait_line(r"is being replaced: it uses \d+ MiB of memory")
        running.wait_line("Worker exiting")
    assert not load.faults
    assert len(set.union(*load.answered_by)) >= 2


def test_memory_that_no_worker_could_keep_to_is_reported_and_the_worker_stays(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "ballast.py").write_text("held = b'x' * (32 << 20)\n")
    running, _ = serve(start, tmp_path, "--max-rss", "16M", "--env", "HEAVY=1")
    running.wait_line(r"Ignoring --max-rss \(16 MiB\): a worker that has just started already uses \d+ MiB")
    assert "is being replaced" not in running.output
