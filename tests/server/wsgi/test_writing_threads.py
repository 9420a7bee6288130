"""`write` that the application has passed to another thread, which comes at any moment of the run, and after it."""

from __future__ import annotations

import contextlib
import gc
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from math import inf
from typing import Any, NamedTuple

import pytest

import ropewalk
from ropewalk.errors import ApplicationError, PeerGoneError
from ropewalk.net.connection import Connection
from ropewalk.net.streamed_response import StreamedResponse
from ropewalk.wsgi import response_head
from ropewalk.wsgi.exchange import RequestTimeoutError
from tests.helpers.embedded import Talk
from tests.helpers.http_client import GET
from tests.helpers.processes import wait_until

KEEP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
NEXT = GET.replace(b"/ ", b"/next ")
RAISES = ["raises", "another head"]  # which raises the error again if the first head is sent
WITHOUT_CONTENT = ["nothing", "empty list", *RAISES]
WAYS = ["list", "tuple", "generator", "iterable", "file", "hints", *WITHOUT_CONTENT]
ROUNDS = 150


class Closeable:
    """An iterable whose end is called, as those of frameworks."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = iter(parts)

    def __iter__(self) -> Iterator[bytes]:
        return self._parts

    def close(self) -> None: ...


def respond(way: str, environ: Any, start_response: Any, path: Any) -> Any:
    """Respond with b"end" in this way, if it has content."""
    if way == "another head":
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", [], sys.exc_info())
    if way == "raises":
        raise ValueError
    if way == "file":
        return environ["wsgi.file_wrapper"](path.open("rb"))
    if way == "hints":
        environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
    return {
        "tuple": (b"end",),
        "generator": (part for part in [b"end"]),
        "iterable": Closeable([b"end"]),
        "nothing": Closeable([]),
        "empty list": [],
    }.get(way, [b"end"])


class Response(NamedTuple):
    status: int
    content: bytes
    is_whole: bool


def parse(octets: bytes) -> Iterator[Response]:
    """Final responses until the end of the connection, where the last may be cut. Anything else fails."""
    while octets:
        head, _, octets = octets.partition(b"\r\n\r\n")
        found = re.fullmatch(rb"HTTP/1.1 (\d{3}) [^\r\n]*((?:\r\n[A-Za-z-]+: [^\r\n]*)*)", head)
        assert found, (head, octets)
        status = int(found[1])
        if status == 103:
            continue
        length = re.search(rb"\r\nContent-Length: (\d+)", found[2])
        if length:
            content, octets = octets[: int(length[1])], octets[int(length[1]) :]
            yield Response(status, content, len(content) == int(length[1]))
            continue
        assert b"\r\nTransfer-Encoding: chunked" in found[2]
        content, is_whole = b"", False
        while octets and not is_whole:
            chunk = re.match(rb"([0-9a-f]+)\r\n(.*?)\r\n", octets)
            assert chunk, octets
            assert int(chunk[1], 16) == len(chunk[2])
            octets = octets[chunk.end() :]
            content += chunk[2]
            is_whole = not chunk[2]
        yield Response(status, content, is_whole)


@pytest.fixture
def path(tmp_path: Any) -> Any:
    path = tmp_path / "file"
    path.write_bytes(b"end")
    return path


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_it_may_write_while_the_application_runs(talk: Talk) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Length", "9")])
        for part in (b"one", b"two"):
            thread = threading.Thread(target=write, args=(part,))
            thread.start()
            thread.join()
        return [b"six"]

    assert talk.ask(application).endswith(b"\r\n\r\nonetwosix")


@pytest.mark.parametrize("way", WAYS)
def test_who_responds_while_it_begins_waits_for_it(talk: Talk, monkeypatch: Any, path: Any, way: str) -> None:
    begun, goes_on = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def slowly() -> float:  # called between the claim of the response and its first content
        if threading.current_thread() in threads:
            begun.set()
            assert goes_on.wait(20)
            time.sleep(0.02)  # the other one has to find it begun; that it waits has no sign
        return time.monotonic()

    def application(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [])

        def write_and_record() -> None:
            try:
                write(b"thread ")
            except ApplicationError as error:
                failures.append(error)

        threads.append(threading.Thread(target=write_and_record))
        threads[-1].start()
        assert begun.wait(20)
        goes_on.set()
        return respond(way, environ, start_response, path)

    threads: list[threading.Thread] = []
    monkeypatch.setattr("ropewalk.wsgi.exchange.monotonic", slowly)
    [response] = parse(talk.ask(application))
    threads[0].join()
    end = b"" if way in WITHOUT_CONTENT else b"end"
    assert response.status == 200
    assert response.is_whole == (way not in RAISES)
    # the response may even end before what was to be written first: then that is too late
    assert response.content in ((end,) if failures else (b"thread " + end, end + b"thread "))


@pytest.mark.usefixtures("frequent_switches")
@pytest.mark.parametrize("length", [None, 5, 6])
@pytest.mark.parametrize("way", WAYS)
def test_no_octet_of_it_is_part_of_another_response(talk: Talk, path: Any, way: str, length: int | None) -> None:
    raised: list[BaseException] = []
    threads: list[threading.Thread] = []
    chance = random.Random(way)

    def work(write: Callable[[bytes], None], steps: int, started: list[None]) -> None:
        started.append(None)
        for _ in range(steps):
            pass
        try:
            write(b"1")
            write(b"2")
            write(b"3")
        except BaseException as error:  # noqa: BLE001 - all of them are checked below
            raised.append(error)

    def application(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/next":
            start_response("200 OK", [("Content-Length", "4")])
            return [b"next"]
        write = start_response("200 OK", [] if length is None else [("Content-Length", str(length))])
        started: list[None] = []
        threads.append(threading.Thread(target=work, args=(write, chance.randrange(400), started)))
        threads[-1].start()
        while not started:
            pass
        for _ in range(chance.randrange(200)):
            pass
        return respond(way, environ, start_response, path)

    written = [b"123"[:count] for count in range(4)]
    mixed = [each[:at] + b"end" + each[at:] for each in written for at in range(len(each) + 1)]
    allowed = {each[:length] for each in written + mixed}
    server = talk.serve(application, threads=2)
    whole = 0
    for _ in range(ROUNDS):
        client = talk.connect(server)
        client.send(KEEP + NEXT)
        first, *others = parse(client.read_all().removesuffix(b"RESET"))
        client.sock.close()
        threads.pop().join()
        is_kept = first.is_whole and (first.status == 200 or way == "another head")
        # what is missing at the end of the run may still be written before the connection is closed for it
        assert others == [Response(200, b"next", is_whole=True)] * is_kept or (length and not others)
        assert first.status == 200 or (first.status == 500 and first.is_whole)
        assert first.status == 500 or first.content in allowed
        if first.status == 200 and first.is_whole:
            whole += 1
            assert (b"en" in first.content) == (way not in WITHOUT_CONTENT)
    assert {type(error) for error in raised} <= {ApplicationError, PeerGoneError}
    assert whole or way in RAISES or length


@pytest.mark.parametrize("calls", ["write", "write in another thread", "hints"])
def test_after_an_interruption_close_sends_nothing(talk: Talk, wait_for: Any, calls: str) -> None:
    is_inside = threading.Event()
    raised: list[BaseException] = []

    class Blocking:
        def __init__(self, call: Callable[[], None]) -> None:
            self._call = call

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            is_inside.set()
            while True:
                time.sleep(0.01)

        def close(self) -> None:
            if calls == "write in another thread":
                thread = threading.Thread(target=self._call_and_record)
                thread.start()
                thread.join()
            else:
                self._call_and_record()

        def _call_and_record(self) -> None:
            try:
                self._call()
            except Exception as error:  # noqa: BLE001 - its type is checked below
                raised.append(error)

    def application(environ: Any, start_response: Any) -> Blocking:
        write, hint = start_response("200 OK", []), environ["wsgi.early_hints"]
        return Blocking((lambda: hint([("Link", "<late>")])) if calls == "hints" else lambda: write(b"late"))

    server = talk.serve_as_worker(application, threads=1)
    client = talk.connect(server)
    client.send(KEEP)
    assert is_inside.wait(20)
    [(thread, _, since, _)] = server.service.running()
    assert server.service.interrupt(thread, since)
    [response] = parse(client.read_all())
    wait_for(lambda: not server.service.running(), "the end of the run")
    assert (response.status, response.is_whole) == (504, True)
    [error] = raised
    assert isinstance(error, ApplicationError if calls == "write in another thread" else RequestTimeoutError)


def test_finalizer_may_write_while_a_stream_is_opened(talk: Talk, monkeypatch: Any) -> None:
    """A garbage collection calls it in whichever thread it happens, and at any moment."""
    kept: list[Callable[[bytes], None]] = []

    def collecting() -> float:  # called by the thread that opens a stream
        if len(kept) > 1:
            with pytest.raises(ApplicationError, match="after the end of the response"):
                kept[0](b"STALE")
        return time.monotonic()

    def application(environ: Any, start_response: Any) -> Any:
        kept.append(start_response("200 OK", []))
        return [b"content"] if len(kept) == 1 else (part for part in [b"content"])

    server = talk.serve(application)
    monkeypatch.setattr("ropewalk.wsgi.exchange.monotonic", collecting)
    for _ in range(2):
        client = talk.connect(server)
        client.send(GET)
        assert next(parse(client.read_all())).content == b"content"


def test_log_that_is_slow_delays_no_other_stream(talk: Talk, monkeypatch: Any) -> None:
    monkeypatch.setattr(response_head, "_reported", set())
    is_logging, goes_on = threading.Event(), threading.Event()
    has_gone_on = []

    def log(*_arguments: Any) -> None:
        is_logging.set()
        has_gone_on.append(goes_on.wait(20))

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Keep-Alive", "timeout=5")] if environ["PATH_INFO"] == "/next" else [])
        yield b"content"

    server = talk.serve(application, error_log=log)
    slow, other = talk.connect(server), talk.connect(server)
    slow.send(NEXT)
    assert is_logging.wait(20)
    other.send(GET)
    assert next(parse(other.read_all())).content == b"content"
    goes_on.set()
    assert next(parse(slow.read_all())).content == b"content"
    assert has_gone_on == [True]


def test_finalizer_may_write_to_the_stream_that_its_thread_sends(talk: Talk) -> None:
    class Late:
        def __init__(self, write: Callable[[bytes], None]) -> None:
            self.write, self.itself = write, self  # until a collection

        def __del__(self) -> None:
            with contextlib.suppress(ApplicationError):  # in the middle of another write
                self.write(b"late")

    def application(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        for number in range(300):
            gc.set_threshold(1 + number % 16)  # a collection at one place of the next write after the other
            Late(write)
            write(b"content")
        return []

    server = talk.serve(application, threads=1)
    client = talk.connect(server)
    thresholds = gc.get_threshold()
    try:
        client.send(GET)
        [response] = parse(client.read_all())
    finally:
        gc.set_threshold(*thresholds)
    assert response.is_whole
    assert response.content.replace(b"late", b"") == b"content" * 300


def test_after_a_timeout_whose_client_is_gone_the_thread_is_interrupted_again(talk: Talk, wait_for: Any) -> None:
    is_inside, goes_on = threading.Semaphore(0), threading.Event()
    raised: list[BaseException] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        is_inside.release()
        try:
            while True:
                time.sleep(0.01)
        except RequestTimeoutError as error:
            raised.append(error)
        assert goes_on.wait(20)
        write(b"too late")
        return []

    server = talk.serve_as_worker(application, threads=1)
    for number in range(1, 4):
        client = talk.connect(server)
        client.send(GET)
        assert is_inside.acquire(timeout=20)
        [(thread, _, since, _)] = server.service.running()
        assert server.service.interrupt(thread, since)
        assert next(parse(client.read_all())).status == 504
        client.sock.close()
        wait_for(lambda: not server.service.snapshot()["gauges"]["connections"], "the end of the connection")
        goes_on.set()
        wait_for(lambda: not server.service.running(), "the end of the run")
        goes_on.clear()
        assert len(raised) == number


def test_thread_that_waits_for_its_client_ends_with_the_server(talk: Talk, capfd: Any) -> None:
    ended = threading.Event()

    def application(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        try:
            while True:
                write(bytes(1_000_000))
        finally:
            ended.set()

    limits = {"limit_buffered_responses": 2**20, "response_memory": 2**20, "response_timeout": 300}
    server = talk.serve(application, **limits)
    client = talk.connect(server)
    client.send(KEEP)
    wait_until(lambda: any(each.peer_awaited_until == inf for each in streams_of(server)), "a thread that waits")
    server.stop(0)
    assert ended.wait(20)
    wait_until(lambda: not list(server._service._pool.running()), "the end of the run")
    assert "PeerGoneError" not in capfd.readouterr().err  # that is no error of the application's


def streams_of(server: ropewalk.Server) -> list[StreamedResponse]:
    connections = [item for item in server._service._pool.items.values() if isinstance(item, Connection)]
    return [each.streamed_response for each in connections if each.streamed_response is not None]
