"""`ropewalk.Server`: its application is exchanged, it serves in the caller's thread, and nothing of it is left."""

from __future__ import annotations

import _thread
import errno
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import ropewalk
from ropewalk.embedded import REPEATED_SECONDS
from ropewalk.errors import ConfigError
from tests.helpers.embedded import Talk, answering
from tests.helpers.http_client import GET, Client
from tests.helpers.leaks import Held
from tests.helpers.processes import wait_until

KEPT = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

WaitFor = Callable[[Callable[[], object], str], None]


def saying(text: bytes) -> Any:
    return answering([text], headers=[("Content-Length", str(len(text)))])


def ask(server: ropewalk.Server, request: bytes = GET) -> bytes:
    client = Client(server.address)
    try:
        client.send(request)
        return client.read_all()
    finally:
        client.sock.close()


def is_refused(port: int) -> bool:
    """Whether nothing accepts connections at the port of 127.0.0.1."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


@contextmanager
def serving_forever(server: ropewalk.Server) -> Iterator[threading.Thread]:
    """The thread in which `server` serves."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield thread
    finally:
        server.shutdown()
        thread.join(20)
    assert not thread.is_alive()


class TestApplication:
    def test_it_is_exchanged_while_a_client_is_connected(self, talk: Talk) -> None:
        server = talk.serve(saying(b"first"), request_id="response")
        client = talk.connect(server)
        client.send(KEPT)
        assert client.read_response()[1] == b"first"
        second = saying(b"second")
        server.application = second
        assert server.application is second
        client.send(KEPT)
        head, content = client.read_response()
        assert content == b"second"
        assert b"\r\nX-Request-ID: " in head

    def test_a_request_that_runs_ends_with_the_one_it_began_with(self, talk: Talk) -> None:
        is_inside, go_on = threading.Event(), threading.Event()

        def slow(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [])
            is_inside.set()
            assert go_on.wait(20)
            yield b"slow"

        server = talk.serve(slow)
        client = talk.connect(server)
        client.send(GET)
        assert is_inside.wait(20)
        server.application = saying(b"other")
        assert ask(server).endswith(b"other")
        go_on.set()
        assert b"slow" in client.read_all()

    def test_it_may_be_set_once_the_address_is_known(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("a file")
        server = ropewalk.Server(bind="127.0.0.1:0", static=f"/static/={tmp_path}")
        server.application = saying(server.url.encode())
        with server:
            assert ask(server).endswith(server.url.encode())
            assert ask(server, GET.replace(b" / ", b" /static/a.txt ")).endswith(b"a file")

    def test_without_one_it_does_not_start(self) -> None:
        for threads in (1, 2):
            server = ropewalk.Server(bind="127.0.0.1:0", threads=threads)
            for start in (server.start, server.serve_forever):
                with pytest.raises(RuntimeError, match="set its attribute `application` first"):
                    start()
            server.application = saying(b"now")
            with server:
                assert ask(server).endswith(b"now")

    def test_what_is_none_is_refused_and_the_old_one_stays(self, talk: Talk) -> None:
        server = talk.serve(saying(b"old"))
        with pytest.raises(ConfigError, match="application: it is None, which is not callable"):
            server.application = None
        assert ask(server).endswith(b"old")


class TestStart:
    def test_starting_twice_is_harmless(self, talk: Talk) -> None:
        server = talk.serve(saying(b"once"))
        server.start()
        assert ask(server).endswith(b"once")

    def test_one_that_was_stopped_says_so(self, talk: Talk) -> None:
        server = talk.serve(answering())
        server.stop()
        with pytest.raises(RuntimeError, match="cannot be started again; create another one"):
            server.start()

    def test_a_second_stop_waits_for_the_first(self, talk: Talk) -> None:
        is_inside, go_on = threading.Event(), threading.Event()

        def slow(environ: Any, start_response: Any) -> list[bytes]:
            is_inside.set()
            assert go_on.wait(20)
            start_response("200 OK", [])
            return [b"whole"]

        server = talk.serve(slow)
        client = talk.connect(server)
        client.send(GET)
        assert is_inside.wait(20)
        stopping = [threading.Thread(target=server.stop) for _ in range(2)]
        for thread in stopping:
            thread.start()
        stopping[1].join(0.05)
        assert all(thread.is_alive() for thread in stopping)
        go_on.set()
        assert client.read_all().endswith(b"whole")
        for thread in stopping:
            thread.join()


class TestServeForever:
    @pytest.mark.parametrize("threads", [1, 4])
    def test_it_serves_until_shutdown_and_finishes_what_is_in_flight(self, threads: int) -> None:
        is_inside, go_on = threading.Event(), threading.Event()

        def slow(environ: Any, start_response: Any) -> list[bytes]:
            is_inside.set()
            assert go_on.wait(20)
            start_response("200 OK", [])
            return [b"whole"]

        server = ropewalk.Server(slow, bind="127.0.0.1:0", threads=threads)
        with serving_forever(server):
            clients = [Client(server.address) for _ in range(3)]
            for client in clients:
                client.send(GET)
            assert is_inside.wait(20)
            server.shutdown()
            go_on.set()
            for client in clients:
                assert client.read_all().endswith(b"whole")
                client.sock.close()
        with pytest.raises(ConnectionRefusedError):
            Client(server.address)

    @pytest.mark.parametrize("threads", [1, 4])
    def test_stop_of_another_thread_ends_it_too(self, threads: int) -> None:
        server = ropewalk.Server(saying(b"hello"), bind="127.0.0.1:0", threads=threads)
        with serving_forever(server) as thread:
            assert ask(server).endswith(b"hello")
            server.stop()
            thread.join(20)
            assert not thread.is_alive()

    def test_stop_of_another_thread_waits_until_it_has_started(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It serves from its first thread on, while others are yet to be started."""
        has_one, go_on, start = threading.Event(), threading.Event(), threading.Thread.start

        def start_slowly(thread: threading.Thread) -> None:
            start(thread)
            if thread.name.startswith("ropewalk-") and thread.name != "ropewalk-share-keys" and not has_one.is_set():
                has_one.set()
                assert go_on.wait(20)

        server = ropewalk.Server(saying(b"hello"), bind="127.0.0.1:0", threads=4)
        starting = threading.Thread(target=server.serve_forever)
        stopping = threading.Thread(target=server.stop)
        monkeypatch.setattr(threading.Thread, "start", start_slowly)
        start(starting)
        assert has_one.wait(20)
        assert ask(server).endswith(b"hello")
        start(stopping)
        stopping.join(0.1)
        go_on.set()
        for thread in (starting, stopping):
            thread.join(20)
            assert not thread.is_alive()
        assert not [each for each in threading.enumerate() if each.name.startswith("ropewalk")]

    @pytest.mark.parametrize("threads", [1, 4])
    def test_the_application_can_end_it(self, threads: int) -> None:
        def last(environ: Any, start_response: Any) -> list[bytes]:
            server.shutdown()
            start_response("200 OK", [])
            return [b"the last"]

        server = ropewalk.Server(last, bind="127.0.0.1:0", threads=threads)
        with serving_forever(server) as thread:
            assert ask(server).endswith(b"the last")
            thread.join(20)
            assert not thread.is_alive()

    @pytest.mark.parametrize("threads", [1, 4])
    def test_shutdown_before_it_begins_counts(self, threads: int) -> None:
        server = ropewalk.Server(saying(b"hello"), bind="127.0.0.1:0", threads=threads)
        server.shutdown()
        server.serve_forever()

    def test_with_one_thread_the_application_runs_in_the_callers(self, tmp_path: Path) -> None:
        """Each step: the call, the parts of the response and its end. A connection of sqlite3 checks its thread."""
        ends: list[threading.Thread] = []

        class Rows:
            def __init__(self, rows: Any) -> None:
                self._rows = rows

            def __iter__(self) -> Iterator[bytes]:
                return (str(number).encode() for (number,) in self._rows)

            def close(self) -> None:
                ends.append(threading.current_thread())

        def serve() -> None:
            with sqlite3.connect(":memory:") as database:

                def rows(environ: Any, start_response: Any) -> Rows:
                    assert not environ["wsgi.multithread"]
                    start_response("200 OK", [("Content-Length", "2")])
                    return Rows(database.execute("VALUES (4), (2)"))

                server.application = rows
                server.serve_forever()
            database.close()

        server = ropewalk.Server(bind="127.0.0.1:0", threads=1)
        thread = threading.Thread(target=serve)
        thread.start()
        assert ask(server).endswith(b"42")
        server.application = saying(b"another")
        assert ask(server).endswith(b"another")
        server.shutdown()
        thread.join(20)
        assert ends == [thread]

    @pytest.mark.parametrize("threads", [1, 4])
    def test_ctrl_c_ends_it_without_a_traceback(self, threads: int, tmp_path: Path) -> None:
        program = tmp_path / "program.py"
        program.write_text(
            "import ropewalk\n"
            "def application(environ, start_response):\n"
            "    start_response('200 OK', [])\n"
            "    return [b'served']\n"
            f"server = ropewalk.Server(application, bind='127.0.0.1:0', threads={threads})\n"
            "print(server.address[1], flush=True)\n"
            "server.serve_forever()\n"
            "print('ended')\n"
        )
        running = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert running.stdout is not None
        client = Client(("127.0.0.1", int(running.stdout.readline())))
        client.send(KEPT)
        client.read_until(b"served")
        running.send_signal(signal.SIGINT)
        assert running.communicate(timeout=20) == ("ended\n", "")
        assert running.returncode == 0
        client.sock.close()

    @pytest.mark.parametrize("threads", [1, 4])
    def test_ctrl_c_that_comes_just_before_it_waits_is_not_lost(self, threads: int) -> None:
        server = ropewalk.Server(saying(b"hello"), bind="127.0.0.1:0", threads=threads)

        def has_started() -> bool:
            return any(each.name == "ropewalk-watchdog" for each in threading.enumerate())  # the last that is started

        def interrupt() -> None:
            ask(server)
            wait_until(has_started, "the end of its start")  # which an interruption would leave unfinished
            _thread.interrupt_main()  # does not interrupt a system call, as a signal that has come before it does not

        thread = threading.Thread(target=interrupt)
        thread.start()
        server.serve_forever()
        thread.join(20)

    def test_another_ctrl_c_does_not_wait_for_requests_in_flight(self, start: Any, tmp_path: Path) -> None:
        (tmp_path / "program.py").write_text(
            "import sys, time, ropewalk\n"
            "def application(environ, start_response):\n"
            "    print('waiting', flush=True)\n"
            "    time.sleep(60)\n"
            "ropewalk.serve(application, bind='127.0.0.1:0', graceful_timeout=1000)\n"
            "print('ended')\n"
        )
        running = start(sys.executable, "program.py")
        port = int(running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+)")[1])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(GET)
            running.wait_line("waiting")

            running.send_signal(signal.SIGINT)
            wait_until(lambda: is_refused(port), "the end of accepting")
            # One: Python restores its own handler as the program ends. Later: at once it would be the same Ctrl-C.
            time.sleep(2 * REPEATED_SECONDS)
            running.send_signal(signal.SIGINT)
        assert running.wait_exit() == 0
        assert running.output.endswith("ended\n")
        assert "Traceback" not in running.output

    def test_past_its_timeout_a_request_in_the_callers_thread_is_answered_and_goes_on(self, tmp_path: Path) -> None:
        is_over, ended = threading.Event(), []

        def slow(environ: Any, start_response: Any) -> list[bytes]:
            if environ["PATH_INFO"] == "/slow":
                assert is_over.wait(20)
                ended.append("normally")
            start_response("200 OK", [])
            return [b"quick"]

        server = ropewalk.Server(slow, bind="127.0.0.1:0", threads=1, timeout=0.1, error_log=tmp_path / "log")
        with serving_forever(server):
            assert ask(server, GET.replace(b" / ", b" /slow ")).startswith(b"HTTP/1.1 504 ")
            is_over.set()
            assert ask(server).endswith(b"quick")
        assert ended == ["normally"]


def test_many_servers_in_one_process(talk: Talk) -> None:
    servers = [talk.serve(saying(b"number %d" % number), threads=1) for number in range(20)]
    assert len({server.url for server in servers}) == 20
    for number, server in enumerate(servers):
        assert ask(server).endswith(b"number %d" % number)
    servers[7].stop()
    assert ask(servers[8]).endswith(b"number 8")


def test_a_thousand_cycles_leave_nothing(wait_for: WaitFor) -> None:
    """Each with a client, of one sort after another: gone, still connected after a request, and silent."""
    application = saying(b"hello")

    def cycle(number: int) -> None:
        with ropewalk.Server(application, bind="127.0.0.1:0", threads=1) as server:
            client = socket.create_connection(server.address)
            if number % 50 == 1:
                client.sendall(KEPT)
                assert client.recv(1)
            elif number % 50 != 2:
                client.close()
        client.close()

    cycle(1)  # imports and caches
    before, memory = Held.now(), len(os.listdir("/proc/self/fd"))
    for number in range(1000):
        cycle(number)
    assert len(os.listdir("/proc/self/fd")) <= memory
    wait_for(lambda: not Held.now().since(before), "the end of every thread")
