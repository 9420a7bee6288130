"""Requests that waited longer than anybody still waits for them: turned away at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers.embedded import Talk
from tests.helpers.http_client import GET

WaitFor = Callable[[Callable[[], object], str], None]
LATE = 600.0
LIMIT = 60.0


class Application:
    """Counts its calls; `/hold` keeps its thread until `go_on`."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.go_on = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.paths.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/hold":
            assert self.go_on.wait(20)
        start_response("200 OK", [])
        return [b"served"]


def get(path: str = "/", **fields: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}Connection: close\r\n\r\n".encode()


def ago(seconds: float) -> str:
    return f"t={time.time() - seconds:.3f}"


def test_a_request_that_waited_too_long_is_shed_without_the_application(talk: Talk) -> None:
    application = Application()
    server = talk.serve_as_worker(application, queue_timeout=LIMIT)
    client = talk.connect(server)
    client.send(get(X_Request_Start=ago(LATE)))
    response = client.read_all()
    assert response.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 1\r\n" in response
    assert application.paths == []
    assert server.service.stats().shed == {"queue-timeout": 1}
    assert server.service.stats().refused == {"503": 1}
    assert server.service.snapshot()["counters"]["queue"]["buckets"]["+Inf"] == 1


@pytest.mark.parametrize("start", [0, -30, -1e6, 1e6, "soon", "t=", "nan", "-inf", "1e999", ""])
def test_request_with_an_acceptable_or_unreadable_start_is_served(talk: Talk, start: float | str) -> None:
    value = start if isinstance(start, str) else ago(start)
    assert talk.ask(Application(), get(X_Request_Start=value), queue_timeout=LIMIT).endswith(b"served")


def test_start_from_an_untrusted_peer_is_ignored(talk: Talk) -> None:
    request = get(X_Request_Start=ago(LATE))
    response = talk.ask(Application(), request, queue_timeout=LIMIT, forwarded_allow_ips="192.0.2.1")
    assert response.endswith(b"served")


def test_no_request_is_shed_without_the_setting(talk: Talk) -> None:
    assert talk.ask(Application(), get(X_Request_Start=ago(LATE))).endswith(b"served")


@pytest.mark.parametrize("opens", [False, True])
def test_what_waited_for_a_thread_of_ours_is_shed_too(talk: Talk, wait_for: WaitFor, opens: bool) -> None:
    """Also on a connection that opens with something else first, here the header of the PROXY protocol."""
    application = Application()
    settings: dict[str, Any] = {"proxy_protocol": "v1"} if opens else {}
    opening = b"PROXY UNKNOWN\r\n" if opens else b""
    server = talk.serve(application, threads=1, queue_timeout=0.05, **settings)
    holding, waiting = talk.connect(server), talk.connect(server)
    holding.send(opening + get("/hold"))
    wait_for(lambda: application.paths, "the first request")
    waiting.send(opening + GET)
    assert waiting.read_all().startswith(b"HTTP/1.1 503 ")  # though no thread has become free
    application.go_on.set()
    assert holding.read_all().endswith(b"served")
    assert application.paths == ["/hold"]
    assert server.stats().shed == {"queue-timeout": 1}


def test_what_has_not_waited_too_long_keeps_its_place(talk: Talk, wait_for: WaitFor) -> None:
    application = Application()
    server = talk.serve(application, threads=1, queue_timeout=LIMIT)
    holding = talk.connect(server)
    holding.send(get("/hold"))
    wait_for(lambda: application.paths, "the first request")
    clients = [talk.connect(server) for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(get(f"/{number}"))
        wait_for(lambda number=number: server.stats().waiting == number + 1, "one more that waits")
    application.go_on.set()
    assert [client.read_all()[-6:] for client in clients] == [b"served"] * 3
    assert application.paths == ["/hold", "/0", "/1", "/2"]


def test_what_waits_for_stuck_threads_is_shed_while_the_server_drains(talk: Talk, wait_for: WaitFor) -> None:
    application = Application()
    server = talk.serve_as_worker(application, threads=1, queue_timeout=0.5)
    holding, waiting = talk.connect(server), talk.connect(server)
    holding.send(get("/hold"))
    wait_for(lambda: application.paths, "the first request")
    waiting.send(get())
    wait_for(lambda: server.service.stats().waiting, "the second request")
    drain = threading.Thread(target=server.service.drain, args=(time.monotonic() + 20,))
    drain.start()
    assert waiting.read_all().startswith(b"HTTP/1.1 503 ")
    application.go_on.set()
    assert holding.read_all().endswith(b"served")
    drain.join()


def test_a_next_request_of_the_connection_has_a_time_of_its_own(talk: Talk) -> None:
    server = talk.serve(Application(), queue_timeout=LIMIT)
    client = talk.connect(server)
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    client.send(request * 3)
    assert [client.read_response()[1] for _ in range(3)] == [b"served"] * 3


@pytest.mark.parametrize(("before", "status"), [(0.0, b"200"), (5.0, b"503")])
def test_the_time_of_an_upload_is_no_waiting(talk: Talk, wait_for: WaitFor, before: float, status: bytes) -> None:
    client = talk.connect(talk.serve(Application(), queue_timeout=2.0))
    start = time.time()
    fields = f"X-Request-Start: {ago(before)}\r\nContent-Length: 4\r\nConnection: close\r\n"
    client.send(f"POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\nha".encode())
    wait_for(lambda: time.time() - start > 2.1, "more than the limit")
    client.send(b"lf")
    assert client.read_all()[9:12] == status


def test_other_overload_is_counted_by_its_reason(talk: Talk, wait_for: WaitFor) -> None:
    server = talk.serve(Application(), limit_connections=1)
    talk.connect(server)
    wait_for(lambda: server.stats().connections == 1, "a connection")
    assert talk.connect(server).read_all().startswith(b"HTTP/1.1 503 ")
    assert server.stats().shed == {"connections": 1}
