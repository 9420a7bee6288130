"""The whole server as a user starts it: real processes, real requests."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

APPLICATION = """\
import os, time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/wait"):
        os.write(2, b"waiting\\n")
        while not os.path.exists("go"):
            time.sleep(0.01)
    while path == "/stuck":
        try:
            time.sleep(60)
        except BaseException:
            pass
    body = f"{os.getpid()} {path} {os.environ.get('GREETING')}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


class Server:
    """A running `python -m ropewalk`, and requests to it."""

    def __init__(self, running: Any) -> None:
        self.running = running
        self.port = int(running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+) ")[1])

    def send(self, target: str) -> http.client.HTTPConnection:
        """A connection on which the request was sent; `read` reads its response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", target)
        return connection

    @staticmethod
    def read(connection: http.client.HTTPConnection) -> tuple[int, str]:
        response = connection.getresponse()
        try:
            return response.status, response.read().decode()
        finally:
            connection.close()

    def get(self, target: str) -> tuple[int, str]:
        return self.read(self.send(target))

    def workers(self, count: int) -> list[int]:
        """The process ids of the first `count` workers that were ready."""
        return [int(match[1]) for match in self.running.wait_lines(r"Worker ready \(pid: (\d+)\)", count)]


@pytest.fixture
def serve(start: Callable[..., Any], tmp_path: Path) -> Callable[..., Server]:
    (tmp_path / "shop.py").write_text(APPLICATION)

    def serve(*arguments: str, **env: str) -> Server:
        command = (
            *(sys.executable, "-W", "error", "-m", "ropewalk", "-b", "127.0.0.1:0"),
            *("--log-level", "debug", *arguments, "shop"),
        )
        return Server(start(*command, env=env))

    return serve


def test_request_is_served_by_a_worker(serve: Callable[..., Server]) -> None:
    server = serve("-e", "GREETING=hello", "-w", "2")
    workers = server.workers(2)
    server.running.wait_line("Ready: 2 workers")
    status, body = server.get("/a")
    assert status == 200
    assert int(body.split()[0]) in workers
    assert body.split()[1:] == ["/a", "hello"]


def test_term_finishes_the_request_in_flight_and_leaves_nothing_behind(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve("--pid", "server.pid")
    server.workers(1)
    assert (tmp_path / "server.pid").read_text() == f"{server.running.pid}\n"
    connection = server.send("/wait")
    server.running.wait_line("waiting")
    server.running.send_signal(signal.SIGTERM)
    server.running.wait_line("Handling signal: term")
    (tmp_path / "go").touch()
    assert server.read(connection)[0] == 200
    assert server.running.wait_exit() == 0
    assert "Shutting down: Master" in server.running.output
    assert "Traceback" not in server.running.output
    assert "Warning" not in server.running.output  # nothing was left open
    assert not (tmp_path / "server.pid").exists()


def test_int_does_not_wait_for_the_request_in_flight(serve: Callable[..., Server]) -> None:
    server = serve()
    server.workers(1)
    connection = server.send("/wait")
    server.running.wait_line("waiting")
    server.running.send_signal(signal.SIGINT)
    assert server.running.wait_exit() == 0
    assert "Traceback" not in server.running.output
    connection.close()


def test_a_killed_worker_is_replaced_while_the_others_serve(serve: Callable[..., Server]) -> None:
    server = serve("-w", "2")
    first, second = server.workers(2)
    os.kill(first, signal.SIGKILL)
    third = server.workers(3)[2]
    assert {int(server.get("/")[1].split()[0]) for _ in range(8)} <= {second, third}


def test_workers_end_and_free_the_port_when_the_master_is_killed(
    serve: Callable[..., Server], wait_for_end: Callable[[int], bool]
) -> None:
    server = serve("-w", "2")
    workers = server.workers(2)
    os.kill(server.running.pid, signal.SIGKILL)
    assert all(wait_for_end(worker) for worker in workers)
    socket.create_server(("127.0.0.1", server.port)).close()


def test_the_access_log_has_each_request(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("--access-logfile", "access.log", "--access-logformat", "%(m)s %(U)s %(s)s %(b)s")
    server.workers(1)
    bodies = [server.get(target)[1] for target in ("/one", "/two")]
    server.running.send_signal(signal.SIGTERM)
    assert server.running.wait_exit() == 0
    assert sorted((tmp_path / "access.log").read_text().splitlines()) == [  # two threads may have logged them
        f"GET {target} 200 {len(body)}" for target, body in zip(("/one", "/two"), bodies, strict=True)
    ]


def test_static_files_are_served_in_front_of_the_application(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "a.txt").write_text("an asset")
    server = serve("--static", "/static/=assets")
    server.workers(1)
    assert server.get("/static/a.txt") == (200, "an asset")
    assert server.get("/static/none.txt")[1].split()[1] == "/static/none.txt"


def test_a_unix_socket_is_served_and_removed(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("-b", "unix:shop.sock")
    server.workers(1)
    server.running.wait_line(r"Listening at: unix:\S*shop\.sock")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "shop.sock"))
        client.sendall(b"GET /u HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 OK\r\n")
    server.running.send_signal(signal.SIGTERM)
    assert server.running.wait_exit() == 0
    assert not (tmp_path / "shop.sock").exists()


def test_a_second_server_is_refused_the_pid_file_of_the_first(
    serve: Callable[..., Server], start: Callable[..., Any]
) -> None:
    server = serve("--pid", "server.pid")
    server.workers(1)
    second = start(sys.executable, "-m", "ropewalk", "-b", "127.0.0.1:0", "--pid", "server.pid", "shop")
    assert second.wait_exit() == 2
    assert f"is held by a running server, process {server.running.pid}" in second.output


def test_a_request_past_the_timeout_is_named_answered_and_interrupted(serve: Callable[..., Server]) -> None:
    server = serve("--timeout", "1")
    (worker,) = server.workers(1)
    assert server.get("/wait") == (504, "504 Gateway Timeout\n")
    server.running.wait_line(rf"Worker timeout \(pid: {worker}\): GET '/wait' has run for")
    server.running.wait_line("Stacks of all threads:")
    assert server.get("/")[1].split()[0] == str(worker)


def test_a_path_may_have_a_time_of_its_own(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("--timeout", "0", "--timeout-for", "/w=600", "--timeout-for", "/wait\u00e9=0.3,/stuck=0")
    patient, impatient = server.send("/wait"), server.send("/wait%C3%A9")
    server.running.wait_line("waiting")
    assert server.read(impatient)[0] == 504
    (tmp_path / "go").touch()
    assert server.read(patient)[0] == 200
    assert "'/wait'" not in server.running.output


def test_request_that_cannot_be_interrupted_has_its_worker_replaced(
    serve: Callable[..., Server], wait_for_end: Callable[[int], bool]
) -> None:
    server = serve("--timeout", "1", "--graceful-timeout", "0.2")
    (stuck,) = server.workers(1)
    assert server.get("/stuck")[0] == 504
    fresh = server.workers(2)[1]
    assert wait_for_end(stuck)
    assert server.get("/")[1].split()[0] == str(fresh)
