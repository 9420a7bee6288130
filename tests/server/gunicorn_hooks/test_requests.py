"""`pre_request` and `post_request`, around requests of a service in this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ropewalk.config.hook_signatures import Hook
from ropewalk.config.settings import make_settings
from ropewalk.gunicorn_hooks.api import Config, Request, Response, Worker
from ropewalk.gunicorn_hooks.requests import RequestHooks
from ropewalk.runtime.service import Service
from tests.helpers.http_client import GET, Client

Serve = Callable[..., Client]
KEPT = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


def application(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    if path == "/fault":
        raise ValueError("a fault")
    start_response("200 OK", [] if path == "/stream" else [("Content-Length", "2")])
    return iter([b"o", b"k"]) if path == "/stream" else [b"ok"]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:

        def serve(pre: Hook | None, post: Hook | None, **settings: Any) -> Client:
            listener = socket.create_server(("127.0.0.1", 0))
            stack.callback(listener.close)
            listener.setblocking(False)
            made = make_settings(threads=3, **settings)
            hooks = RequestHooks(Worker(1, Config(made)), pre, post)
            service = Service(application, [listener], made, hooks=hooks)
            stack.callback(service.close)
            service.start()
            client = Client(listener.getsockname())
            stack.callback(client.sock.close)
            return client

        yield serve


def test_every_request_of_a_connection_is_logged(serve: Serve, wait_for: Callable[..., None]) -> None:
    calls: list[tuple[str, str, int]] = []

    def pre(worker: Worker, req: Request) -> None:
        req.mark = req.uri

    def post(worker: Worker, req: Any, environ: dict[str, Any], resp: Response) -> None:
        calls.append((req.mark, environ["PATH_INFO"], resp.status_code))

    client = serve(pre, post, queue_timeout=60)
    client.send(KEPT % b"/a?b" + KEPT % b"/stream" + KEPT % b"/c" + KEPT % b"/fault")
    responses = client.read_all()
    assert responses.count(b"HTTP/1.1 200 OK") == 3
    assert responses.count(b"HTTP/1.1 500 ") == 1
    wait_for(lambda: len(calls) == 4, "every request")
    # Each after its response, so that a next one may come first.
    expected = [("/a?b", "/a", 200), ("/c", "/c", 200), ("/fault", "/fault", 500), ("/stream", "/stream", 200)]
    assert sorted(calls) == expected


def test_slow_post_request_hook_keeps_no_client_waiting(serve: Serve) -> None:
    go_on = threading.Event()
    client = serve(None, lambda worker, req: go_on.wait(20))
    client.send(KEPT % b"/")
    assert client.read_response()[1] == b"ok"
    client.send(GET)
    assert client.read_all().endswith(b"ok")
    go_on.set()


def test_refused_request_calls_no_hook(serve: Serve, wait_for: Callable[..., None]) -> None:
    calls: list[str] = []
    client = serve(
        lambda worker, req: calls.append(req.uri), lambda worker, req: calls.append(req.uri), queue_timeout=60
    )
    client.send(KEPT % b"/served")
    client.read_response()
    wait_for(lambda: len(calls) == 2, "the first request")
    client.send(b"GET /late HTTP/1.1\r\nHost: x\r\nX-Request-Start: t=%d\r\n\r\n" % (time.time() - 600))
    assert client.read_all().startswith(b"HTTP/1.1 503 ")
    assert calls == ["/served", "/served"]


def test_a_request_names_its_client(serve: Serve) -> None:
    seen: list[Request] = []
    client = serve(lambda worker, req: seen.append(req), None)
    client.send(
        b"POST /p%41th?q=%20 HTTP/1.0\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7:99\r\nX-Forwarded-Proto: https\r\n"
        b"X-Two: 1\r\nX-Two: 2\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n."
    )
    assert client.read_all().endswith(b"ok")
    [request] = seen
    assert (request.method, request.uri, request.path, request.query) == ("POST", "/p%41th?q=%20", "/p%41th", "q=%20")
    assert (request.version, request.scheme, request.remote_addr) == ((1, 0), "https", ("192.0.2.7", "99"))
    headers = dict(request.headers)
    assert headers["HOST"] == "x"
    assert headers["X-TWO"].replace(" ", "") == "1,2"
    assert (headers["CONTENT-TYPE"], headers["CONTENT-LENGTH"]) == ("text/plain", "1")


def test_a_request_keeps_its_headers_whatever_the_application_does_to_the_environ() -> None:
    environ = {
        **dict.fromkeys(("RAW_URI", "QUERY_STRING", "SERVER_PROTOCOL", "wsgi.url_scheme", "REMOTE_ADDR"), ""),
        "REQUEST_METHOD": "GET",
        "HTTP_HOST": "x",
    }
    request = Request(environ)
    environ.clear()
    assert request.headers == [("HOST", "x")]


@pytest.mark.parametrize(
    ("hook", "count"),
    [
        (lambda worker, req: None, 2),
        (lambda worker, req, environ: None, 3),
        (lambda worker, req, environ, resp: None, 4),
        (lambda *arguments: None, 4),
        (lambda worker, req, environ=None: None, 3),
    ],
)
def test_a_hook_gets_as_many_arguments_as_it_takes(hook: Hook, count: int) -> None:
    worker = Worker(1, Config(make_settings()))
    assert RequestHooks(worker, None, hook)._arguments == count


def test_without_a_post_request_hook_the_run_is_not_wrapped() -> None:
    def run(connection: Any) -> bool:
        return True

    hooks = RequestHooks(Worker(1, Config(make_settings())), lambda worker, req: None, None)
    assert hooks.wrap(run) is run
