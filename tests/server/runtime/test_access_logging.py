"""What the access log records: where the time of a request went, and how much of it came in.

A time is compared with what the test knows to have passed meanwhile, never with a guess.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.helpers.embedded import Talk, WorkerService, answering
from tests.helpers.http_client import GET

WaitFor = Callable[[Callable[[], object], str], None]

PARTS = ("receiving", "waiting", "application", "sending")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def serve(talk: Talk, path: Path) -> Callable[..., WorkerService]:
    def serve(application: Any, **settings: Any) -> WorkerService:
        return talk.serve_as_worker(application, access_log=str(path), access_log_format="json", **settings)

    return serve


@pytest.fixture
def lines(path: Path, wait_for: WaitFor) -> Callable[[int], list[dict[str, Any]]]:
    """So many lines, once they are there."""

    def lines(count: int) -> list[dict[str, Any]]:
        wait_for(lambda: path.read_text().count("\n") >= count, f"{count} lines")
        return [json.loads(line) for line in path.read_text().splitlines()]

    return lines


class Passing:
    """How long something lasted for certain."""

    def __init__(self, server: WorkerService, wait_for: WaitFor) -> None:
        self._server, self._wait_for = server, wait_for

    def while_connections(self, state: str) -> float:
        return self._while(lambda: self._gauges()["connections"].get(state), state)

    def while_waiting(self) -> float:
        return self._while(lambda: self._gauges()["waiting"] == 1, "waiting")

    def _while(self, condition: Callable[[], object], what: str) -> float:
        self._wait_for(condition, what)
        began = monotonic()
        self._wait_for(lambda: monotonic() > began + 0.05, "a moment")
        return 0.05

    def _gauges(self) -> dict[str, Any]:
        gauges: dict[str, Any] = self._server.service.snapshot()["gauges"]
        return gauges


def test_a_request_in_pieces_has_taken_time_to_be_received(
    talk: Talk, serve: Any, lines: Any, wait_for: WaitFor
) -> None:
    server = serve(answering())
    client = talk.connect(server)
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n")
    seconds = Passing(server, wait_for).while_connections("head")
    client.send(b"\r\nab")
    seconds += Passing(server, wait_for).while_connections("body")
    client.send(b"c" + GET)
    client.read_all()
    first, second = lines(2)
    assert first["receiving"] >= seconds
    assert second["receiving"] == 0.0
    assert all(part in each for each in (first, second) for part in PARTS)


def test_health_check_has_no_line_unless_it_fails(talk: Talk, serve: Any, lines: Any) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(environ["PATH_INFO"][1:] + " X", [])
        return []

    client = talk.connect(serve(application, access_log_skip=("probe", "kube-probe")))
    for status, agent in ((200, "probe"), (404, "kube-probe/1.31"), (503, "probe"), (200, "curl/8 probe"), (200, "")):
        client.send(f"GET /{status} HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\n\r\n".encode())
    client.send(b"GET /204 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    client.read_all()
    logged = [(line["status"], line.get("user_agent") or "") for line in lines(4)]
    assert logged == [(503, "probe"), (200, "curl/8 probe"), (200, ""), (204, "")]


def test_a_request_that_waits_for_a_thread_says_so(talk: Talk, serve: Any, lines: Any, wait_for: WaitFor) -> None:
    is_inside, go_on = threading.Event(), threading.Event()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        is_inside.set()
        assert go_on.wait(20)
        start_response("200 OK", [])
        return []

    server = serve(application, threads=1)
    clients = [talk.connect(server) for _ in range(2)]
    clients[0].send(GET)
    assert is_inside.wait(20)
    clients[1].send(GET)
    seconds = Passing(server, wait_for).while_waiting()
    go_on.set()
    for client in clients:
        client.read_all()
    first, second = sorted(lines(2), key=lambda line: float(line["waiting"]))
    assert first["application"] >= seconds
    assert second["waiting"] >= seconds
    assert first["receiving"] == second["receiving"] == 0.0


def test_a_response_that_is_not_taken_has_taken_time_to_be_sent(
    talk: Talk, serve: Any, lines: Any, wait_for: WaitFor
) -> None:
    server = serve(answering([b"x" * (32 << 20)]))
    client = talk.connect(server)
    client.send(GET)
    seconds = Passing(server, wait_for).while_connections("sending")
    client.read_all()
    [line] = lines(1)
    assert line["sending"] >= seconds
    assert line["seconds"] == pytest.approx(line["application"] + line["sending"], abs=1e-5)


def test_a_request_that_was_given_up_on_shows_how_long_it_ran(
    talk: Talk, serve: Any, lines: Any, wait_for: WaitFor
) -> None:
    go_on = threading.Event()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert go_on.wait(20)
        start_response("200 OK", [])
        return []

    server = serve(application)
    client = talk.connect(server)
    client.send(GET)
    seconds = Passing(server, wait_for).while_connections("running")
    [(thread, _, since, _)] = server.service.running()
    assert server.service.interrupt(thread, since)
    client.read_all()
    go_on.set()
    [line] = lines(1)
    assert line["status"] == 504
    assert line["seconds"] == line["application"] >= seconds
    assert "sending" in line


@pytest.mark.parametrize(
    "request_octets",
    [
        b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
    ],
)
def test_octets_of_each_request_are_logged(talk: Talk, serve: Any, lines: Any, request_octets: bytes) -> None:
    client = talk.connect(serve(answering()))
    client.send(request_octets * 3 + GET)  # pipelined
    client.read_all()
    assert [line["received"] for line in lines(4)] == [len(request_octets)] * 3 + [len(GET)]


def test_octets_that_come_one_by_one_are_counted_alike(talk: Talk, serve: Any, lines: Any) -> None:
    client = talk.connect(serve(answering()))
    octets = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + GET
    for number in range(len(octets)):
        client.send(octets[number : number + 1])
    client.read_all()
    assert [line["received"] for line in lines(2)] == [len(octets) - len(GET), len(GET)]


@pytest.mark.parametrize(
    ("octets", "status"),
    [(b"nonsense\r\n\r\n", 400), (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", 413)],
)
def test_a_refusal_has_its_line(talk: Talk, serve: Any, lines: Any, octets: bytes, status: int) -> None:
    client = talk.connect(serve(answering(), limit_request_body=5))
    client.send(octets)
    client.read_all()
    [line] = lines(1)
    assert (line["status"], line["received"]) == (status, len(octets))
    assert line["receiving"] == 0.0
    assert "application" not in line


def test_the_format_has_them_by_name(talk: Talk, path: Path, wait_for: WaitFor) -> None:
    names = ("receiving", "queue", "waiting", "application", "sending", "received", "id")
    server = talk.serve_as_worker(
        answering(), access_log=str(path), access_log_format=" ".join(f"%({name})s" for name in names)
    )
    client = talk.connect(server)
    client.send(GET)
    client.read_all()
    wait_for(lambda: path.read_text().endswith("\n"), "the line")
    receiving, queue, waiting, application, sending, received, name = path.read_text().split()
    assert (receiving, queue, received, name) == ("0.000000", "-", str(len(GET)), "-")
    assert all(float(seconds) >= 0 for seconds in (waiting, application, sending))


def test_without_assigned_ids_the_proxys_is_logged(talk: Talk, serve: Any, lines: Any) -> None:
    client = talk.connect(serve(answering()))
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: {theirs}\r\n\r\n" + GET + b"nonsense\r\n\r\n")
    client.read_all()
    assert [line.get("request_id") for line in lines(2)] == ["{theirs}", None]
