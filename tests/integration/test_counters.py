"""What a service counts while it serves."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ropewalk
from ropewalk.config.settings import make_settings
from ropewalk.runtime.service import Service


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    if environ["PATH_INFO"] == "/fault":
        raise ValueError("a fault")
    status = {"/missing": "404 Not Found"}.get(environ["PATH_INFO"], "200 OK")
    start_response(status, [("Content-Length", "5")])
    return [b"hello"]


@pytest.fixture
def service() -> Iterator[tuple[Service, tuple[str, int]]]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    service = Service(application, [listener], make_settings(threads=3))
    service.start()
    yield service, listener.getsockname()
    service.close()
    listener.close()


def ask(address: tuple[str, int], target: str, **fields: str) -> int:
    connection = http.client.HTTPConnection(*address, timeout=20)
    connection.request("GET", target, headers={name.replace("_", "-"): value for name, value in fields.items()})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def test_responses_refusals_and_octets_are_counted(
    service: tuple[Service, tuple[str, int]], wait_for: Callable[..., None]
) -> None:
    it, address = service
    assert [ask(address, target) for target in ("/", "/", "/missing", "/fault")] == [200, 200, 404, 500]
    with socket.create_connection(address, timeout=20) as peer:
        peer.sendall(b"nonsense\r\n\r\n")
        assert peer.recv(4096).startswith(b"HTTP/1.1 400 ")
    wait_for(lambda: sum(it.snapshot()["counters"]["responses"].values()) == 4, "four answers")
    wait_for(lambda: it.snapshot()["counters"]["sent_bytes"] > 4 * 50, "octets")
    counters = it.snapshot()["counters"]
    assert counters["responses"] == {"1xx": 0, "2xx": 2, "3xx": 0, "4xx": 1, "5xx": 1}
    assert counters["refused"] == {"400": 1}
    assert sum(counters["duration"]["buckets"].values()) == 4


def test_octets_of_content_are_counted(service: tuple[Service, tuple[str, int]], wait_for: Callable[..., None]) -> None:
    it, address = service
    with socket.create_connection(address, timeout=20) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\ncontent")
        peer.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        wait_for(lambda: it.snapshot()["counters"]["received_bytes"] == 10, "ten octets")


def test_queue_time_is_of_a_trusted_proxys_request_start(
    service: tuple[Service, tuple[str, int]], wait_for: Callable[..., None]
) -> None:
    it, address = service
    ask(address, "/", X_Request_Start=f"t={time.time() - 0.7:.3f}")
    wait_for(lambda: sum(it.snapshot()["counters"]["queue"]["buckets"].values()) == 1, "a queue time")
    assert it.snapshot()["counters"]["queue"]["seconds"] >= 0.69


def test_gauges_tell_of_threads_and_connections(
    service: tuple[Service, tuple[str, int]], wait_for: Callable[..., None]
) -> None:
    it, address = service
    with socket.create_connection(address, timeout=20):
        wait_for(lambda: it.snapshot()["gauges"]["connections"].get("idle") == 1, "a connection")
        gauges = it.snapshot()["gauges"]
    assert gauges["in_flight"] == gauges["waiting"] == 0
    assert gauges["threads"]["active"] + gauges["threads"]["parked"] == 4


def test_the_access_log_shows_where_the_time_went(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with ropewalk.Server(
        application, bind="127.0.0.1:0", access_log=str(path), access_log_format="json", request_id="environ"
    ) as server:
        assert ask(server.address, "/", X_Request_Start=f"t={time.time() - 0.7:.3f}", X_Request_ID="one") == 200
        assert ask(server.address, "/fault", X_Request_ID="two") == 500
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["request_id"], first["status"], first["bytes"]) == ("one", 200, 5)
    assert (second["request_id"], second["status"]) == ("two", 500)
    assert first["queue"] >= 0.69
    assert "queue" not in second
    assert first["seconds"] == pytest.approx(first["application"] + first["sending"], abs=1e-5)
