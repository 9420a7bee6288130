"""Requests that are interrupted at any moment, while they are in the server's own code: it holds nothing afterwards.

INTERRUPTIONS sets their number, for a longer run.
"""

from __future__ import annotations

import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ropewalk.logs import sink
from ropewalk.logs.error_log import ErrorLog
from ropewalk.logs.wsgi_errors import WsgiErrors
from ropewalk.wsgi.exchange import Exchange
from tests.helpers.embedded import Talk, WorkerService
from tests.helpers.http_client import Client

INTERRUPTIONS = int(os.environ.get("INTERRUPTIONS", "600"))
CLIENTS = 3
PADDING = "x" * 200

WaitFor = Callable[[Callable[[], object], str], None]

pytestmark = pytest.mark.usefixtures("often_interrupted")


class PipedLog:
    """An error log that writes to a pipe, and a thread that reads all of it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._end = os.open(path, os.O_RDWR)  # so that opening it waits for nobody
        self.log = ErrorLog()
        self.log.configure(str(path), "info")
        self._octets = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while not self._octets.endswith(b"\nend\n"):
            self._octets += os.read(self._end, 65536)

    def lines(self) -> list[str]:
        """All lines that were written."""
        if self._reader.is_alive():
            os.write(self._end, b"\nend\n")
            self._reader.join(20)
        return self._octets.decode().splitlines()[:-2]

    def close(self) -> None:
        self.lines()
        os.close(self._end)
        os.close(self.log.descriptor)


@pytest.fixture
def piped(tmp_path: Path) -> Iterator[PipedLog]:
    with closing(PipedLog(tmp_path / "log")) as piped:
        yield piped


class Chatty:
    """Logs, reads and asks until it is interrupted, and remembers how many lines it has written."""

    def __init__(self, log: ErrorLog) -> None:
        self.written: dict[str, int] = {}
        self._log = log

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        name, number, errors = environ["QUERY_STRING"], 0, environ["wsgi.errors"]
        while True:
            self.written[name] = number
            errors.write(f"{name} {number} ")
            errors.write(f"{PADDING}\n")
            self._log.info("%s", "noted")
            environ["wsgi.input"].seek(0)
            assert environ["wsgi.input"].read() == b"content"
            start_response("200 OK", [("X-Name", name)], (None, None, None))
            assert not environ["ropewalk.client_disconnected"]()
            number += 1


class Impatient(threading.Thread):
    """A client whose requests are all interrupted, each a moment later than the one before."""

    def __init__(self, server: WorkerService, application: Chatty, number: int) -> None:
        super().__init__()
        self.responses: list[bytes] = []
        self._server, self._application, self._number = server, application, number

    def run(self) -> None:
        for turn in range(INTERRUPTIONS // CLIENTS):
            client, name = Client(self._server.address), f"{self._number}-{turn}"
            client.send(f"POST /?{name} HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\ncontent".encode())
            while name not in self._application.written:
                threading.Event().wait(0.0001)
            for _ in range(turn * 7 % 400):
                pass
            self._interrupt(name)
            self.responses.append(client.read_all())
            client.sock.close()

    def _interrupt(self, name: str) -> None:
        [found] = [each for each in self._server.service.running() if f"?{name}'" in each.description]
        assert self._server.service.interrupt(found.ident, found.since)


def test_interrupted_requests_hold_no_lock_and_lose_no_line(talk: Talk, piped: PipedLog, wait_for: WaitFor) -> None:
    application = Chatty(piped.log)
    server = talk.serve_as_worker(application, WsgiErrors(piped.log), threads=CLIENTS)
    clients = [Impatient(server, application, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    wait_for(lambda: not server.service.running(), "the end of the runs")
    assert not any(lock.locked() for lock in sink._LOCKS.values())
    assert not piped.log._counting.locked()
    responses = [response for client in clients for response in client.responses]
    assert len(responses) == INTERRUPTIONS // CLIENTS * CLIENTS
    assert {(response[:13], response.count(b"HTTP/1.1")) for response in responses} == {(b"HTTP/1.1 504 ", 1)}
    check_lines(piped.lines(), application.written)
    assert piped.log.lost == 0


def check_lines(lines: list[str], written: dict[str, int]) -> None:
    """Each line is there once: all that the application knows of, and at most one more; its last may be unfinished."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        if not re.fullmatch(r"\[[^]]+\] \[\d+\] \[INFO\] noted", line):
            found = re.fullmatch(rf"(\S+) (\d+) ({PADDING})?", line)
            assert found is not None, line
            if found[3]:
                numbers[found[1]].append(int(found[2]))
    for name, last in written.items():
        assert numbers[name] == list(range(len(numbers[name])))
        assert len(numbers[name]) - last in (0, 1), name


class Streaming:
    """Streams pieces until it is interrupted: by `write`, or by an iterable."""

    def __init__(self) -> None:
        self.exchanges: dict[str, Exchange] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", [])
        self.exchanges[environ["QUERY_STRING"]] = start_response.__self__
        if environ["PATH_INFO"] == "/write":
            while True:
                write(b"piece")
        return iter(lambda: b"piece", b"")


@pytest.mark.parametrize("path", ["/write", "/iterable"])
def test_interrupted_streams_hold_no_lock_and_end_visibly(talk: Talk, wait_for: WaitFor, path: str) -> None:
    application = Streaming()
    server = talk.serve_as_worker(application, threads=1)
    for number in range(INTERRUPTIONS // 4):
        client, name = Client(server.address), str(number)
        with closing(client.sock):
            client.send(f"GET {path}?{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            client.read_until(b"piece\r\n")
            for _ in range(number * 7 % 400):
                pass
            exchange = application.exchanges[name]
            wait_for(lambda exchange=exchange: exchange.interrupt(504, "planted"), "a phase to interrupt")
            assert re.fullmatch(rb"(5\r\npiece\r\n)*", client.read_all())
    wait_for(lambda: not server.service.running(), "the end of the runs")
    assert server.service.served() == INTERRUPTIONS // 4
    streams = [exchange._stream for exchange in application.exchanges.values()]
    for stream in streams:
        assert stream is not None
        assert stream._lock.acquire(blocking=False)  # which nobody holds
        stream._lock.release()
