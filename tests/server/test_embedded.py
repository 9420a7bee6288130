"""`ropewalk.Server` and `ropewalk.serve`: the server inside a program."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ropewalk
from ropewalk.errors import ConfigError
from tests.helpers.embedded import Talk, answering
from tests.helpers.http_client import GET, Client


def test_the_address_is_known_before_it_serves() -> None:
    server = ropewalk.Server(answering(), bind="127.0.0.1:0")
    host, port = server.address
    assert host == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{port}"
    server.stop()


def test_a_with_block_serves_and_ends(talk: Talk) -> None:
    with ropewalk.Server(answering([b"hello"]), bind="127.0.0.1:0") as server:
        client = talk.connect(server)
        client.send(GET)
        assert client.read_all().endswith(b"hello")
    with pytest.raises(ConnectionRefusedError):
        talk.connect(server)


def test_several_addresses(talk: Talk, tmp_path: Path) -> None:
    server = talk.serve(answering(), bind=("127.0.0.1:0", f"unix:{tmp_path / 'socket'}"))
    assert len(server.addresses) == 2
    for address in server.addresses:
        client = type(talk.connect(server))(address)
        client.send(GET)
        assert client.read_all().startswith(b"HTTP/1.1 200")
        client.sock.close()


def test_a_unix_socket_has_the_mode_that_was_asked_for(talk: Talk, tmp_path: Path) -> None:
    talk.serve(answering(), bind=f"unix:{tmp_path / 'socket'}", unix_mode="0600")
    assert (tmp_path / "socket").stat().st_mode & 0o777 == 0o600


def test_stopping_twice_is_harmless() -> None:
    server = ropewalk.Server(answering(), bind="127.0.0.1:0")
    server.start()
    server.stop()
    server.stop()


def test_a_bad_setting_says_what_is_allowed() -> None:
    with pytest.raises(ConfigError, match="threads"):
        ropewalk.Server(answering(), bind="127.0.0.1:0", threads=0)


def test_an_unknown_setting_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="thread_count"):
        ropewalk.Server(answering(), bind="127.0.0.1:0", thread_count=3)


def test_pipelined_requests_without_end_keep_nobody_out(talk: Talk) -> None:
    server = talk.serve(answering([b"ok"]), threads=1)
    greedy = [talk.connect(server) for _ in range(3)]
    is_over = threading.Event()

    def feed(client: Client) -> None:
        """Always have more requests in the connection's buffer than the server has answered."""
        with contextlib.suppress(OSError):
            while not is_over.is_set():
                client.sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 500)

    def drain(client: Client) -> None:
        with contextlib.suppress(OSError):
            while client.sock.recv(1 << 20):
                pass

    threads = [threading.Thread(target=work, args=(client,)) for client in greedy for work in (feed, drain)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            client = talk.connect(server)
            client.send(GET)
            assert client.read_all().endswith(b"ok")
    finally:
        is_over.set()
        for client in greedy:
            client.sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def test_stats_tell_what_it_does_and_has_done(talk: Talk, wait_for: Callable[..., None]) -> None:
    is_inside, go_on = threading.Event(), threading.Event()

    def application(environ: Any, start_response: Any) -> list[bytes]:
        is_inside.set()
        assert go_on.wait(20)
        start_response("404 Not Found", [])
        return []

    server = talk.serve(application, threads=1)
    assert server.stats()[:5] == (0, 0, 0, 1, 0)
    clients = [talk.connect(server) for _ in range(2)]
    for client in clients:
        client.send(GET)
    assert is_inside.wait(20)
    wait_for(lambda: server.stats().waiting == 1, "the second request")
    stats = server.stats()
    assert (stats.connections, stats.in_flight, stats.finished) == (2, 1, 0)
    wait_for(lambda: server.stats().active_threads == 2, "a thread for the sockets")
    go_on.set()
    for client in clients:
        client.read_all()
    bad = talk.connect(server)
    bad.send(b"BAD\r\n\r\n")
    bad.read_all()
    wait_for(lambda: server.stats().connections == 0, "the end of the connections")
    server.stop()
    stats = server.stats()
    assert (stats.finished, stats.responses["4xx"], stats.refused, stats.shed) == (2, 2, {"400": 1}, {})


class TestDraining:
    def test_what_is_in_flight_is_finished(self, talk: Talk) -> None:
        is_inside, go_on = threading.Event(), threading.Event()

        def application(environ: Any, start_response: Any) -> list[bytes]:
            is_inside.set()
            assert go_on.wait(20)
            start_response("200 OK", [])
            return [b"finished"]

        server = talk.serve(application)
        idle, busy = talk.connect(server), talk.connect(server)
        busy.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert is_inside.wait(20)
        stopped: list[Any] = []
        stopping = threading.Thread(target=lambda: stopped.append(server.stop(20)))
        stopping.start()
        assert idle.read_all() == b""  # idle connections are closed while the other is served
        go_on.set()
        answer = busy.read_all()
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"finished")
        stopping.join()
        assert stopped == [(1, 0)]

    def test_what_waits_in_the_backlog_is_taken(self, talk: Talk) -> None:
        is_inside, go_on = threading.Event(), threading.Event()

        def application(environ: Any, start_response: Any) -> list[bytes]:
            is_inside.set()
            assert go_on.wait(20)
            start_response("200 OK", [])
            return [b"ok"]

        server = talk.serve(application, threads=1)
        first = talk.connect(server)
        first.send(GET)
        assert is_inside.wait(20)
        waiting = [talk.connect(server) for _ in range(20)]
        for client in waiting:
            client.send(GET)
        stopping = threading.Thread(target=server.stop, args=(20,))
        stopping.start()
        go_on.set()
        for client in (first, *waiting):
            assert client.read_all().startswith(b"HTTP/1.1 200")
        stopping.join()

    def test_what_does_not_finish_in_time_is_aborted_and_counted(self, talk: Talk) -> None:
        is_inside, go_on = threading.Event(), threading.Event()

        def application(environ: Any, start_response: Any) -> list[bytes]:
            is_inside.set()
            assert go_on.wait(20)
            start_response("200 OK", [])
            return [b"too late"]

        server = talk.serve(application)
        client = talk.connect(server)
        client.send(GET)
        assert is_inside.wait(20)
        assert server.stop(0.1) == (0, 1)
        assert b"too late" not in client.read_all()
        go_on.set()

    def test_a_slow_reader_gets_all_of_its_response(self, talk: Talk) -> None:
        server = talk.serve(answering([b"x" * 20_000_000]))
        client = talk.connect(server)
        client.send(GET)
        client.read_until(b"\r\n\r\n")
        stopping = threading.Thread(target=server.stop, args=(20,))
        stopping.start()
        assert len(client.read_all()) == 20_000_000
        stopping.join()


class TestAccessLog:
    def test_a_line_for_every_request(self, talk: Talk, tmp_path: Path) -> None:
        path = tmp_path / "access.log"
        server = talk.serve(answering([b"12345"]), access_log=str(path), access_log_format="%(r)s %(s)s %(B)s")
        for octets in (GET, b"POST /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"BAD\r\n\r\n"):
            client = talk.connect(server)
            client.send(octets)
            client.read_all()
        server.stop()
        assert sorted(path.read_text().splitlines()) == sorted(
            ["GET / HTTP/1.1 200 5", "POST /a?b HTTP/1.1 200 5", "- 400 0"]
        )


def test_serve_ends_at_a_signal(start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import ropewalk\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [b'served']\n"
        "ropewalk.serve(application, bind='127.0.0.1:0')\n"
    )
    import http.client
    import signal

    for number in (signal.SIGTERM, signal.SIGINT):
        running = start(sys.executable, "program.py")
        port = int(running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+)")[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"served"
        connection.close()
        running.send_signal(number)
        assert running.wait_exit() == 0
