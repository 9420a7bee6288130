"""An application that takes too long: what the peer gets, and what becomes of the thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from ropewalk.wsgi.exchange import RequestTimeoutError
from tests.helpers.embedded import Talk, WorkerService
from tests.helpers.http_client import GET

WaitFor = Callable[[Callable[[], object], str], None]


class Slow:
    """An application that is inside until it may go on, and says how that ended."""

    def __init__(self, *, computes: bool, swallows: bool = False, hints: bool = False) -> None:
        self.is_inside, self.go_on, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.how = ""
        self._computes, self._swallows, self._hints = computes, swallows, hints

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/quick":
            start_response("200 OK", [])
            return [b"quick"]
        if self._hints:
            environ["wsgi.early_hints"]([("Link", "<a>")])
        try:
            self.is_inside.set()
            if self._computes:
                compute_until(self.go_on)
            else:
                assert self.go_on.wait(20)
            self.how = "went on"
        except RequestTimeoutError:
            self.how = "interrupted"
            if not self._swallows:
                raise
        finally:
            self.ended.set()
        start_response("200 OK", [])
        return [b"too late"]


def compute_until(event: threading.Event) -> None:
    """A function of its own: CPython 3.13 leaves the end of a `while` out of the `try` that encloses it."""
    while not event.is_set():
        sum(range(100))


def interrupt(server: WorkerService) -> bool:
    [(thread, _, since, _)] = server.service.running()
    return server.service.interrupt(thread, since)


@pytest.mark.parametrize("swallows", [True, False])
@pytest.mark.parametrize("computes", [True, False])
def test_the_peer_gets_504_and_the_thread_goes_on(
    talk: Talk, wait_for: WaitFor, computes: bool, swallows: bool
) -> None:
    application = Slow(computes=computes, swallows=swallows)
    server = talk.serve_as_worker(application, threads=1)
    client = talk.connect(server)
    client.send(GET)
    assert application.is_inside.wait(20)
    assert interrupt(server)
    response = client.read_all()  # at once, though the application is still inside
    assert response.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
    assert response.count(b"HTTP/1.1") == 1
    if not computes:
        assert not application.ended.is_set()
        application.go_on.set()
    assert application.ended.wait(20)
    # A wait in C cannot be interrupted: the exception comes when it returns, before the next line or a few later.
    assert application.how == "interrupted" or not computes
    wait_for(lambda: not server.service.running(), "the end of the run")
    for _ in range(20):
        other = talk.connect(server)
        other.send(GET.replace(b"GET /", b"GET /quick"))
        assert other.read_all().endswith(b"quick")


def test_request_that_runs_on_after_its_504_is_still_listed(talk: Talk, wait_for: WaitFor) -> None:
    application = Slow(computes=False)
    server = talk.serve_as_worker(application, request_id="environ")
    for target in ("/a", "/b"):
        application.is_inside.clear()
        client = talk.connect(server)
        client.send(GET.replace(b"GET /", b"GET " + target.encode()))
        assert application.is_inside.wait(20)
        [(thread, before, since, _)] = [one for one in server.service.running() if "504" not in one[1]]
        assert server.service.interrupt(thread, since)
        assert b" 504 " in client.read_all()
        assert (thread, f"{before}, answered with 504", since, False) in server.service.running()
    assert sorted(name[:8] for _, name, _, _ in server.service.running()) == ["GET '/a'", "GET '/b'"]
    application.go_on.set()
    wait_for(lambda: not server.service.running(), "the end of the runs")


def test_early_hints_do_not_stand_in_the_way(talk: Talk) -> None:
    application = Slow(computes=True, hints=True)
    server = talk.serve_as_worker(application)
    client = talk.connect(server)
    client.send(GET)
    assert application.is_inside.wait(20)
    assert interrupt(server)
    response = client.read_all()
    assert response.startswith(b"HTTP/1.1 103 Early Hints\r\n")
    assert b"HTTP/1.1 504 " in response


def test_a_request_that_is_over_is_not_timed_out(talk: Talk) -> None:
    application = Slow(computes=False)
    server = talk.serve_as_worker(application)
    client = talk.connect(server)
    client.send(GET)
    assert application.is_inside.wait(20)
    [(thread, _, since, _)] = server.service.running()
    application.go_on.set()
    assert client.read_all().endswith(b"too late")
    assert not server.service.interrupt(thread, since)


def test_the_moment_between_the_two_is_never_lost(talk: Talk) -> None:
    """Whichever wins, there is one whole response: time out requests at every moment of their life."""
    inside = threading.Event()

    def application(environ: Any, start_response: Any) -> list[bytes]:
        inside.set()
        sum(range(2000))
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    server = talk.serve_as_worker(application, threads=1)
    seen = set()
    for _ in range(300):
        inside.clear()
        client = talk.connect(server)
        client.send(GET)
        assert inside.wait(20)
        for thread, _, since, _ in server.service.running():
            server.service.interrupt(thread, since)
        response = client.read_all()
        assert response.count(b"HTTP/1.1") == 1
        seen.add(response[9:12])
        client.sock.close()
    assert seen <= {b"200", b"504"}
