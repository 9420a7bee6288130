"""A response that fails midway: the client gets all that was sent, and can see that it is not the whole."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ropewalk.interruptions import OneTimeEvent
from tests.helpers.embedded import Talk, WorkerService
from tests.helpers.http_client import PATIENCE, Client

WaitFor = Callable[[Callable[[], object], str], None]

HTTP_11 = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HTTP_10 = b"GET / HTTP/1.0\r\n\r\n"

SMALL = b"some content"
LARGE = os.urandom(12_000_000)
"""More than the sockets take: the response fails while the socket is full."""


@pytest.fixture(params=["tcp", "unix"])
def bind(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path}/socket"


class Failing:
    """An application whose response fails after `content`, whose head has `headers`."""

    def __init__(self, content: bytes, *headers: tuple[str, str]) -> None:
        self._content, self._headers = content, list(headers)
        self.has_failed = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", self._headers)
        yield self._content
        self.has_failed.set()
        raise RuntimeError("planted")


def ask_failing(
    talk: Talk, bind: str, application: Failing, request: bytes, **settings: Any
) -> tuple[Client, WorkerService]:
    """The client of a response that has failed."""
    server = talk.serve_as_worker(application, bind=bind, **settings)
    client = talk.connect(server)
    client.send(request)
    assert application.has_failed.wait(PATIENCE)
    return client, server


def aborted(server: WorkerService) -> int:
    return server.service.snapshot()["counters"]["aborted"]


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("request_head", [HTTP_11, HTTP_10])
def test_content_with_a_length_is_sent_as_far_as_it_goes(
    talk: Talk, bind: str, wait_for: WaitFor, content: bytes, request_head: bytes
) -> None:
    application = Failing(content, ("Content-Length", str(len(content) + 1)))
    client, server = ask_failing(talk, bind, application, request_head)
    assert client.read_all().endswith(b"\r\n\r\n" + content)
    client.sock.close()
    wait_for(lambda: aborted(server) == 1, "the count of the response")


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_chunks_are_sent_without_the_last_one(talk: Talk, bind: str, wait_for: WaitFor, content: bytes) -> None:
    client, server = ask_failing(talk, bind, Failing(content), HTTP_11)
    assert client.read_all().endswith(b"\r\n\r\n%x\r\n%b\r\n" % (len(content), content))
    client.sock.close()
    wait_for(lambda: aborted(server) == 1, "the count of the response")


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_content_that_only_the_end_delimits_ends_with_a_reset(talk: Talk, wait_for: WaitFor, content: bytes) -> None:
    client, server = ask_failing(talk, "127.0.0.1:0", Failing(content), HTTP_10)
    assert client.read_all().endswith(b"RESET")
    client.sock.close()
    wait_for(lambda: aborted(server) == 1, "the count of the response")


def test_the_access_log_says_that_it_was_cut(talk: Talk, tmp_path: Path, wait_for: WaitFor) -> None:
    path = tmp_path / "access"
    client, _ = ask_failing(
        talk, "127.0.0.1:0", Failing(SMALL), HTTP_11, access_log=str(path), access_log_format="json"
    )
    client.read_all()
    wait_for(lambda: path.exists() and b"\n" in path.read_bytes(), "the line of the response")
    assert b'"aborted":true' in path.read_bytes()


def test_no_request_follows_a_response_that_was_cut(talk: Talk, bind: str) -> None:
    client, _ = ask_failing(talk, bind, Failing(SMALL), HTTP_11 * 2)
    assert client.read_all().count(b"HTTP/1.1 ") == 1


def test_a_file_that_becomes_shorter_is_sent_as_far_as_it_goes(
    talk: Talk, bind: str, tmp_path: Path, wait_for: WaitFor
) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    server = talk.serve_as_worker(application, bind=bind)
    client = talk.connect(server)
    client.send(HTTP_11)
    assert b"Content-Length: %d\r\n" % len(LARGE) in client.read_until(b"\r\n\r\n")
    size = len(LARGE) - 1_000_000
    os.truncate(path, size)
    assert client.read_all() == LARGE[:size]
    client.sock.close()
    wait_for(lambda: aborted(server) == 1, "the count of the response")


@pytest.mark.parametrize(
    ("request_head", "content", "end"),
    [
        (HTTP_11, SMALL, b"\r\n\r\n%x\r\n%b\r\n" % (len(SMALL), SMALL)),
        (HTTP_10, SMALL, b"RESET"),
        (HTTP_10, LARGE, b"RESET"),
    ],
    ids=["chunks", "small", "large"],
)
def test_a_response_that_the_end_of_the_server_cuts(
    talk: Talk, request_head: bytes, content: bytes, end: bytes
) -> None:
    # Not an Event: the exception that ends the application could leave the lock of one held.
    is_written, go_on = threading.Event(), OneTimeEvent()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield content
        is_written.set()
        go_on.wait()

    server = talk.serve(application)
    client = talk.connect(server)
    client.send(request_head)
    assert is_written.wait(PATIENCE)
    server.stop(0)
    response = client.read_all()
    go_on.set()
    assert response.endswith(end)


def test_a_complete_response_that_the_end_of_the_server_cuts(talk: Talk) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield LARGE

    server = talk.serve(application)
    client = talk.connect(server)
    client.send(HTTP_10)
    client.read_until(b"\r\n\r\n")
    server.stop(0)
    assert client.read_all().endswith(b"RESET")
