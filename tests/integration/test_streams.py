"""Responses that stream for long, such as server-sent events: threads of their own, and what is seen of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers.embedded import Talk
from tests.helpers.http_client import GET, Client

WaitFor = Callable[[Callable[[], object], str], None]

EVENTS = GET.replace(b"GET /", b"GET /events")


class Events:
    """Sends an event to each client at `/events`, and a last one when it may go on; answers everything else at once."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/events":
            start_response("200 OK", [])
            return [b"page"]
        start_response("200 OK", [("Content-Type", "text/event-stream"), ("Connection", "keep-alive")])
        return self._events()

    def _events(self) -> Iterator[bytes]:
        yield b"data: first\n\n"
        assert self.go_on.wait(60)
        yield b"data: last\n\n"


@pytest.fixture
def events() -> Iterator[Events]:
    application = Events()
    yield application
    application.go_on.set()


def open_stream(talk: Talk, server: Any) -> Client:
    client = talk.connect(server)
    client.send(EVENTS)
    return client


def finish(events: Events, clients: list[Client]) -> None:
    events.go_on.set()
    for client in clients:
        assert client.read_all().endswith(b"data: last\n\n\r\n0\r\n\r\n")


def test_many_clients_of_server_sent_events_need_one_setting(talk: Talk, events: Events, wait_for: WaitFor) -> None:
    server = talk.serve(events, threads=4, stream_threads=100)
    clients = [open_stream(talk, server) for _ in range(100)]
    for client in clients:
        client.read_until(b"data: first\n\n")
    for _ in range(20):
        page = talk.connect(server)
        page.send(GET)
        assert page.read_all().endswith(b"page")
    assert server.stats().streams == 100
    finish(events, clients)
    wait_for(lambda: server.stats().streams == 0, "the end of the streams")


def test_without_it_a_stream_occupies_a_thread_and_the_log_says_so(
    talk: Talk, events: Events, wait_for: WaitFor, capfd: pytest.CaptureFixture[str]
) -> None:
    server = talk.serve(events, threads=2)
    clients = [open_stream(talk, server) for _ in range(2)]
    for client in clients:
        client.read_until(b"data: first\n\n")
    page = talk.connect(server)
    page.send(GET)
    wait_for(lambda: server.stats().waiting == 1, "the request that waits")
    seen = ""

    def is_reported() -> bool:
        nonlocal seen
        seen += capfd.readouterr().err
        return "occupied by responses that stream" in seen

    wait_for(is_reported, "the report")
    assert server.stats().streams == 2
    finish(events, clients)
    assert page.read_all().endswith(b"page")
    seen += capfd.readouterr().err
    assert seen.count("All 2 threads are occupied by responses that stream.") == 1
    assert "--stream-threads" in seen


def test_streams_past_the_setting_share_the_other_threads(
    talk: Talk, events: Events, wait_for: WaitFor, capfd: pytest.CaptureFixture[str]
) -> None:
    server = talk.serve(events, threads=2, stream_threads=3)
    clients = [open_stream(talk, server) for _ in range(6)]
    wait_for(lambda: (server.stats().streams, server.stats().waiting) == (5, 1), "five streams, and one that waits")
    wait_for(lambda: "All 2 threads and all 3 threads for streams" in capfd.readouterr().err, "the report")
    finish(events, clients)


def test_a_response_that_is_whole_is_no_stream(talk: Talk, events: Events, wait_for: WaitFor) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def application(environ: Any, start_response: Any) -> list[bytes]:
        inside.set()
        assert go_on.wait(20)
        start_response("200 OK", [])
        return [b"page"]

    server = talk.serve(application, threads=1, stream_threads=5)
    client = talk.connect(server)
    client.send(GET)
    assert inside.wait(20)
    other = talk.connect(server)
    other.send(GET)
    wait_for(lambda: server.stats().waiting == 1, "the second request")
    assert server.stats().streams == 0
    go_on.set()
    assert client.read_all().endswith(b"page")
    assert other.read_all().endswith(b"page")
