"""How a service drains: kept connections in use are closed with their next response, silent ones soon."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ropewalk.config.settings import make_settings
from ropewalk.runtime.service import Drained, Service


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


@pytest.fixture
def service() -> Iterator[tuple[Service, tuple[str, int]]]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    service = Service(application, [listener], make_settings(threads=2))
    service.start()
    yield service, listener.getsockname()
    service.close()
    listener.close()


def ask(connection: http.client.HTTPConnection) -> str | None:
    connection.request("GET", "/")
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"ok")
    return response.getheader("Connection")


def drain_in_thread(service: Service, results: list[Drained]) -> threading.Thread:
    thread = threading.Thread(target=lambda: results.append(service.drain(time.monotonic() + 20)))
    thread.start()
    return thread


def test_after_the_announcement_responses_close_and_new_connections_are_served(
    service: tuple[Service, tuple[str, int]],
) -> None:
    connection = http.client.HTTPConnection(*service[1], timeout=20)
    assert ask(connection) is None
    service[0].announce_end()
    assert ask(connection) == "close"
    assert connection.sock is None
    assert ask(connection) == "close"
    connection.close()


def test_kept_connection_in_use_is_closed_with_its_next_response(
    service: tuple[Service, tuple[str, int]],
) -> None:
    connection = http.client.HTTPConnection(*service[1], timeout=20)
    assert ask(connection) is None
    results: list[Drained] = []
    thread = drain_in_thread(service[0], results)
    assert ask(connection) in ("close", None)  # None: it was answered before draining began
    connection.close()
    thread.join()
    assert results[0].aborted == 0


def test_a_silent_connection_is_closed(service: tuple[Service, tuple[str, int]]) -> None:
    connection = http.client.HTTPConnection(*service[1], timeout=20)
    assert ask(connection) is None
    assert connection.sock is not None
    results: list[Drained] = []
    thread = drain_in_thread(service[0], results)
    assert connection.sock.recv(1) == b""
    thread.join()
    connection.close()
    assert results == [Drained(0, 0)]
