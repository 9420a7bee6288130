"""A response that has begun: for how long its application may be quiet, and what becomes of stream and thread."""

from __future__ import annotations

import http.client
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ropewalk.process.worker.watchdog import Watchdog
from ropewalk.wsgi.exchange import RequestTimeoutError
from tests.helpers.embedded import Talk, WorkerService
from tests.helpers.http_client import GET, Client

WaitFor = Callable[[Callable[[], object], str], None]

LAST_CHUNK = b"0\r\n\r\n"
EVENTS = GET.replace(b"GET /", b"GET /events")
CLOSE = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


class Quiet:
    """Streams a piece at `/events`, and another one when it may go on; everything else is answered at once."""

    def __init__(self, *fields: tuple[str, str], swallows: bool = False) -> None:
        self.go_on, self.closed = threading.Event(), threading.Event()
        self.how = ""
        self._fields, self._swallows = list(fields), swallows

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/events":
            start_response("200 OK", [])
            return [b"page"]
        start_response("200 OK", self._fields)
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        try:
            yield b"first"
            try:
                wait_until_set(self.go_on)
                self.how = "went on"
            except RequestTimeoutError:
                self.how = "interrupted"
                if not self._swallows:
                    raise
            yield b"last"
        finally:
            self.closed.set()


def wait_until_set(event: threading.Event) -> None:
    """In Python, where a thread can be interrupted."""
    deadline = time.monotonic() + 20
    while not event.is_set():
        assert time.monotonic() < deadline
        sum(range(100))


@pytest.fixture
def quiet() -> Iterator[Quiet]:
    application = Quiet()
    yield application
    application.go_on.set()


def open_stream(talk: Talk, server: Any, request: bytes = EVENTS) -> Client:
    client = talk.connect(server)
    client.send(request)
    client.read_until(b"first")
    return client


def quiet_row(server: WorkerService) -> tuple[int, float]:
    """The thread of the only stream, and since when it has been quiet."""
    [(thread, _, since, is_streaming)] = server.service.running()
    assert is_streaming
    return thread, since


def watchdog_of(server: WorkerService, shortest: float) -> Watchdog:
    return Watchdog(shortest, server.service.running, server.service.timeout_of, server.service.capacity)


def expect_pages(talk: Talk, server: Any, count: int = 20) -> None:
    for _ in range(count):
        client = talk.connect(server)
        client.send(GET)
        assert client.read_all().endswith(b"page")


@pytest.mark.parametrize("swallows", [False, True])
@pytest.mark.parametrize(
    ("fields", "request_head", "rest"),
    [
        ((), EVENTS, b"\r\n"),  # chunked, without the last chunk
        ((("Content-Length", "9"),), EVENTS, b""),  # shorter than announced
        ((), EVENTS.replace(b"HTTP/1.1", b"HTTP/1.0"), b"RESET"),  # its end alone would look like that of the response
    ],
)
def test_a_stream_that_is_interrupted_ends_incomplete_and_its_thread_goes_on(
    talk: Talk,
    wait_for: WaitFor,
    fields: tuple[tuple[str, str], ...],
    request_head: bytes,
    rest: bytes,
    swallows: bool,
) -> None:
    application = Quiet(*fields, swallows=swallows)
    server = talk.serve_as_worker(application, threads=1)
    client = open_stream(talk, server, request_head)
    assert server.service.interrupt(*quiet_row(server))
    assert client.read_all() == rest
    assert application.closed.wait(20)
    assert application.how == "interrupted"
    wait_for(lambda: not server.service.running(), "the end of the run")
    expect_pages(talk, server)


def test_a_stream_may_be_quiet_for_longer_than_a_request_may_take(talk: Talk, quiet: Quiet) -> None:
    server = talk.serve_as_worker(quiet, timeout=30, stream_timeout=300)
    client = open_stream(talk, server)
    thread, since = quiet_row(server)
    watchdog = watchdog_of(server, 30)
    assert watchdog.find_overdue(since + 299.9) == []
    [overdue] = watchdog.find_overdue(since + 300.1)
    assert (overdue.ident, overdue.started, overdue.is_streaming) == (thread, since, True)
    quiet.go_on.set()
    assert client.read_all().endswith(LAST_CHUNK)


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({"stream_timeout": 0}, 1e9),
        ({"timeout_for": ("/events=0",)}, 1e9),
        ({"timeout_for": ("/events=600",)}, 599),
    ],
)
def test_a_stream_without_a_limit_or_with_a_longer_one_lives(
    talk: Talk, quiet: Quiet, settings: dict[str, Any], seconds: float
) -> None:
    server = talk.serve_as_worker(quiet, **settings)
    open_stream(talk, server)
    _, since = quiet_row(server)
    assert watchdog_of(server, 30).find_overdue(since + seconds) == []


def test_each_piece_begins_the_time_anew(talk: Talk, wait_for: WaitFor) -> None:
    steps = [threading.Event() for _ in range(3)]

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first"
        for number, step in enumerate(steps):
            assert step.wait(20)
            yield b"piece %d" % number

    server = talk.serve_as_worker(application)
    client = open_stream(talk, server)
    _, since = quiet_row(server)
    for number, step in enumerate(steps[:2]):
        thread = quiet_row(server)[0]
        step.set()
        client.read_until(b"piece %d" % number)
        wait_for(lambda: quiet_row(server)[1] > since, "a piece that counts")  # noqa: B023 - called within the loop
        assert not server.service.interrupt(thread, since)  # the stream has made progress
        _, since = quiet_row(server)
    steps[2].set()
    assert client.read_all().endswith(LAST_CHUNK)


def test_time_in_which_the_peer_takes_nothing_is_not_the_applications(
    talk: Talk, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ropewalk.net.streamed_response.HIGH_WATER", 0)
    total = 64 * 1024 * 1024
    go_on = threading.Event()

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first"
        yield b"x" * total  # far more than the sockets take
        assert go_on.wait(20)

    server = talk.serve_as_worker(application)
    client = open_stream(talk, server)
    watchdog = watchdog_of(server, 30)
    wait_for(lambda: server.service.snapshot()["gauges"]["connections"].get("stalled"), "a peer that takes nothing")
    wait_for(lambda: watchdog.find_overdue(time.monotonic() + 1e6) == [], "a thread that waits for the peer")
    waited_until = time.monotonic()
    received = 0
    while received < total:
        received += len(client.sock.recv(1024 * 1024))
    wait_for(lambda: watchdog.find_overdue(time.monotonic() + 1e6), "the application's own time")
    assert quiet_row(server)[1] > waited_until
    go_on.set()
    client.read_all()


def test_a_quiet_stream_whose_client_is_gone_is_a_stream_still(talk: Talk, quiet: Quiet, wait_for: WaitFor) -> None:
    server = talk.serve_as_worker(quiet, timeout=30, stream_timeout=300)
    client = open_stream(talk, server)
    thread, since = quiet_row(server)
    for connection in server.service._connections():  # as a peer that is gone while the socket is full
        assert connection.streamed_response is not None
        connection.streamed_response.reset()
    assert client.read_all().endswith(b"RESET")
    wait_for(lambda: not server.service.snapshot()["gauges"]["connections"], "the end of the connection")
    watchdog = watchdog_of(server, 30)
    assert watchdog.find_overdue(since + 299.9) == []
    assert len(watchdog.find_overdue(since + 300.1)) == 1
    assert server.service.stats().streams == 1
    assert server.service.interrupt(thread, since)
    wait_for(lambda: not server.service.running(), "the end of the run")
    assert quiet.how == "interrupted"
    expect_pages(talk, server)


class Closing:
    """An iterable whose `close` takes until it is interrupted or may go on."""

    def __init__(self, *pieces: bytes) -> None:
        self.is_closing, self.go_on = threading.Event(), threading.Event()
        self._pieces = iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self.is_closing.set()
        wait_until_set(self.go_on)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_complete_response_is_sent_though_close_hangs(talk: Talk, wait_for: WaitFor, is_streamed: bool) -> None:
    pieces = [b"one", b"two"] if is_streamed else [b"onetwo"]
    fields = [] if is_streamed else [("Content-Length", "6")]
    iterables: list[Closing] = []

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", fields)
        if iterables:
            return [b"onetwo"]
        iterables.append(Closing(*pieces))
        return iterables[0]

    server = talk.serve_as_worker(application, threads=1)
    client = talk.connect(server)
    keep = GET.replace(b"Connection: close\r\n", b"")
    client.send(keep)
    wait_for(lambda: iterables and iterables[0].is_closing.is_set(), "the call of close")
    [(thread, _, since, is_streaming)] = server.service.running()
    assert is_streaming is is_streamed
    assert server.service.interrupt(thread, since)
    expected = b"two\r\n" + LAST_CHUNK if is_streamed else b"onetwo"
    assert client.read_until(expected).startswith(b"HTTP/1.1 200 ")
    wait_for(lambda: not server.service.running(), "the end of the run")
    client.send(keep)
    assert client.read_until(b"onetwo").startswith(b"HTTP/1.1 200 ")


def test_the_moments_between_are_never_lost(talk: Talk, wait_for: WaitFor) -> None:
    """Whichever wins, the response is complete or visibly incomplete, at every moment of a stream's life."""
    inside = threading.Event()

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        inside.set()
        for _ in range(3):
            sum(range(500))
            yield b"piece"

    server = talk.serve_as_worker(application, threads=1)
    whole = b"5\r\npiece\r\n" * 3 + LAST_CHUNK
    for _ in range(300):
        inside.clear()
        client = talk.connect(server)
        client.send(GET)
        assert inside.wait(20)
        for thread, _, since, _ in server.service.running():
            server.service.interrupt(thread, since)
        response = client.read_all()
        assert response.count(b"HTTP/1.1") <= 1
        head, _, content = response.partition(b"\r\n\r\n")
        assert b" 504 " in head or whole.startswith(content)
        client.sock.close()
    wait_for(lambda: not server.service.running(), "the end of the runs")


def test_an_embedded_server_ends_a_quiet_stream_with_one_warning(talk: Talk, quiet: Quiet, tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    server = talk.serve(quiet, timeout=0.1, stream_timeout=0.3, request_id="environ", error_log=log)
    client = talk.connect(server)
    client.send(EVENTS)
    assert client.read_all().endswith(b"5\r\nfirst\r\n")
    assert quiet.closed.wait(20)
    expect_pages(talk, server)
    server.stop()
    [line] = [line for line in log.read_text().splitlines() if "WARNING" in line or "CRITICAL" in line]
    assert "[WARNING] Stream timeout" in line
    assert "GET '/events' (request id " in line
    assert line.endswith("its response ends incomplete")
    assert "Stacks" not in log.read_text()


APPLICATION = """\
import os, time

def application(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] != "/events":
        return [b"%d" % os.getpid()]
    return events()

def events():
    yield b"first"
    time.sleep(600)
"""


@pytest.fixture
def serve(start: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[Any, int, int]]:
    (tmp_path / "shop.py").write_text(APPLICATION)

    def serve(*options: str) -> tuple[Any, int, int]:
        """The running server of one worker, its port, and that worker."""
        command = [sys.executable, "-W", "error", "-m", "ropewalk", "-b", "127.0.0.1:0", "-w", "1", *options, "shop"]
        running = start(*command)
        port = int(running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+) ")[1])
        running.wait_line("Ready: 1 worker")
        return running, port, int(ask(port).read())

    return serve


def ask(port: int, target: str = "/") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", target, headers={"Connection": "close"})
    return connection.getresponse()


def test_a_worker_is_replaced_only_once_no_thread_is_left(serve: Callable[..., tuple[Any, int, int]]) -> None:
    """Its threads sleep in C, and cannot be interrupted."""
    running, port, worker = serve("--threads", "2", "--stream-timeout", "0.3", "--graceful-timeout", "1")
    for count in (1, 2):
        with ask(port, "/events") as stream:
            assert stream.read(5) == b"first"
            with pytest.raises(http.client.IncompleteRead):
                stream.read()
        running.wait_lines("Stream timeout", count)
        if count == 1:
            assert int(ask(port).read()) == worker
    running.wait_line(rf"Worker \(pid: {worker}\) is being replaced: streams that timed out do not release")
    running.wait_line(rf"Worker exiting \(pid: {worker}\)")
    assert int(ask(port).read()) != worker


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_quiet_stream_ends_at_the_end_of_the_grace_period(
    serve: Callable[..., tuple[Any, int, int]], number: signal.Signals
) -> None:
    running, port, worker = serve("--threads", "2", "--timeout", "0.2", "--graceful-timeout", "1")
    with ask(port, "/events") as stream:
        assert stream.read(5) == b"first"
        running.send_signal(number)
        with pytest.raises(http.client.IncompleteRead):
            stream.read()
    running.wait_line(rf"Worker drained \(pid: {worker}\): 0 requests finished, 1 aborted")
    running.wait_line(rf"Worker exiting \(pid: {worker}\)")
    assert "Worker timeout" not in running.output
    if number is signal.SIGHUP:
        assert int(ask(port).read()) != worker
    else:
        assert running.wait_exit() == 0
