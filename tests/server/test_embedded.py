"""`ropewalk.Server` and `ropewalk.serve`: the server inside a program."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ropewalk
from ropewalk.config.settings import all_settings
from ropewalk.config.table import Setting
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.wsgi.exchange import RequestTimeoutError
from tests.helpers.embedded import Talk, answering
from tests.helpers.http_client import GET, Client

WaitFor = Callable[[Callable[[], object], str], None]


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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("thread_count", "no such setting: thread_count"),
        ("thread", "no such setting: thread; did you mean threads\\?"),
        ("accesslog", "no such setting: accesslog; did you mean access_log\\?"),
    ],
)
def test_an_unknown_setting_is_a_type_error(name: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        ropewalk.Server(answering(), **{name: 3})


NOT_EMBEDDED = [setting for setting in all_settings() if setting.declaration.not_embedded]


@pytest.mark.parametrize("setting", NOT_EMBEDDED, ids=lambda setting: setting.name)
def test_a_setting_without_effect_is_refused_with_the_reason(setting: Setting) -> None:
    arguments: Any = {"bind": "127.0.0.1:0", setting.name: setting.default}
    with pytest.raises(ConfigError) as caught:
        ropewalk.Server(answering(), **arguments)
    assert caught.value.setting == setting.name
    assert str(caught.value).endswith(f": has no effect in an embedded server: {setting.declaration.not_embedded}")


def test_every_setting_is_used_here_or_refused() -> None:
    """What the service and the server read of the settings is what they take."""
    names = ["embedded", "runtime/embedded_logs", "runtime/service", "runtime/factories", "runtime/watchdog_thread"]
    sources = [(Path(ropewalk.__file__).parent / f"{name}.py").read_text() for name in names]
    read = set(re.findall(r"settings\.([a-z_]+)", "".join(sources))) - {"name"}
    taken = {setting.name for setting in all_settings()} - {setting.name for setting in NOT_EMBEDDED}
    assert taken - read == set()
    # The number of workers is 1 here, and the service of a worker divides processors by it; debug and reload are off.
    assert read & {setting.name for setting in NOT_EMBEDDED} == {"workers", "debug", "reload"}


def test_a_setting_has_the_name_of_its_field_or_of_its_option(tmp_path: Path) -> None:
    with ropewalk.Server(answering(), bind="127.0.0.1:0", access_logfile=tmp_path / "log") as server:
        assert server.settings.access_log == str(tmp_path / "log")
    with pytest.raises(TypeError, match="access_logfile and access_log are the same setting"):
        ropewalk.Server(answering(), bind="127.0.0.1:0", access_log="-", access_logfile="-")


class TestTimeout:
    """An embedded server's requests have timeouts as a worker's have."""

    @staticmethod
    def sleeping(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/quick":
            start_response("200 OK", [])
            return [b"quick"]
        is_never_set = threading.Event()
        try:
            while True:
                is_never_set.wait(0.01)
        except RequestTimeoutError as error:
            environ["wsgi.errors"].write(f"ended by {type(error).__name__}\n")
            raise

    @pytest.mark.parametrize("settings", [{"timeout": 0.2}, {"timeout": 0, "timeout_for": "/slow=0.2"}])
    def test_a_request_past_it_gets_504_and_its_thread_an_exception(
        self, talk: Talk, settings: Any, tmp_path: Path, wait_for: WaitFor
    ) -> None:
        log = tmp_path / "error.log"
        server = talk.serve(self.sleeping, threads=1, error_log=log, **settings)
        client = talk.connect(server)
        client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_all().startswith(b"HTTP/1.1 504 ")
        wait_for(lambda: "ended by RequestTimeoutError\n" in log.read_text(), "the exception")
        assert "Worker timeout" in log.read_text()
        assert "Stacks of all threads" in log.read_text()
        wait_for(lambda: server.stats().in_flight == 0, "the end of the request")
        quick = talk.connect(server)  # the only thread serves again
        quick.send(b"GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert quick.read_all().endswith(b"quick")

    def test_one_that_does_not_end_is_reported(self, talk: Talk, tmp_path: Path, wait_for: WaitFor) -> None:
        log, go_on = tmp_path / "error.log", threading.Event()

        def stubborn(environ: Any, start_response: Any) -> list[bytes]:
            assert go_on.wait(20)
            start_response("200 OK", [])
            return [b"late"]

        client = talk.connect(talk.serve(stubborn, timeout=0.1, error_log=log))
        client.send(GET)
        assert client.read_all().startswith(b"HTTP/1.1 504 ")
        wait_for(lambda: "a request that timed out does not release its thread" in log.read_text(), "the report")
        go_on.set()

    def test_without_one_there_is_no_thread_for_it(self, talk: Talk) -> None:
        talk.serve(answering(), timeout=0, stream_timeout=0)
        assert "ropewalk-watchdog" not in {thread.name for thread in threading.enumerate()}


class TestLogs:
    """A server whose program sets one of the error log's settings has a log of its own."""

    @staticmethod
    def failing(environ: Any, start_response: Any) -> list[bytes]:
        print("said to wsgi.errors", file=environ["wsgi.errors"])
        raise ValueError("a fault")

    def test_the_error_log_has_the_applications_faults_and_errors(
        self, talk: Talk, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        log = tmp_path / "error.log"
        server = talk.serve(self.failing, error_log=log, error_log_format="json", log_level="error")
        client = talk.connect(server)
        client.send(GET)
        assert client.read_all().startswith(b"HTTP/1.1 500 ")
        server.stop()
        messages = [json.loads(line) for line in log.read_text().splitlines()]
        assert [message["message"] for message in messages if "exception" not in message] == ["said to wsgi.errors"]
        assert [message["exception"] for message in messages if "exception" in message] == ["ValueError: a fault"]
        get_logger().info("of the process")
        assert "of the process" in capfd.readouterr().err

    def test_the_level_alone_leaves_it_on_standard_error(self, talk: Talk, capfd: pytest.CaptureFixture[str]) -> None:
        for level, is_shown in (("debug", True), ("info", False)):
            server = talk.serve(answering([b"x" * 20_000_000]), log_level=level)
            client = talk.connect(server)
            client.send(GET)
            client.read_until(b"200 OK")
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sock.close()  # a reset
            server.stop()
            assert ("[DEBUG] sending to" in capfd.readouterr().err) == is_shown

    @pytest.mark.parametrize("setting", ["error_log", "access_log"])
    def test_a_log_that_cannot_be_opened_leaves_nothing_open(self, tmp_path: Path, setting: str) -> None:
        path = tmp_path / "socket"
        arguments: Any = {setting: str(tmp_path / "gone" / "log"), "env": "ROPEWALK_TEST_A=1"}
        with pytest.raises(ConfigError, match="cannot be opened"):
            ropewalk.Server(answering(), bind=f"unix:{path}", **arguments)
        assert not path.exists()
        assert "ROPEWALK_TEST_A" not in os.environ


def test_static_files_are_served_without_the_application(talk: Talk, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a file")
    request = b"GET /static/a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert talk.ask(answering(), request, static=f"/static/={tmp_path}").endswith(b"a file")
    with pytest.raises(ConfigError, match=r"--static='/static/=.*gone': .* is not a directory"):
        talk.serve(answering(), static=f"/static/={tmp_path}/gone")


def test_variables_are_set_until_the_end(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWALK_TEST_B", "before")
    server = talk.serve(answering(), env=["ROPEWALK_TEST_A=1", "ROPEWALK_TEST_B=2"])
    assert (os.environ["ROPEWALK_TEST_A"], os.environ["ROPEWALK_TEST_B"]) == ("1", "2")
    server.stop()
    assert "ROPEWALK_TEST_A" not in os.environ
    assert os.environ["ROPEWALK_TEST_B"] == "before"


def test_script_name_in_env_is_where_the_application_is_published(talk: Talk) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "11")])
        return [f"{environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode()]

    request = b"GET /shop/cart HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert talk.ask(application, request, env=["SCRIPT_NAME=/shop"]).endswith(b"\r\n\r\n/shop /cart")


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

    @pytest.mark.parametrize("fails", ["at once", "by its length"])
    def test_the_size_of_an_error_is_that_of_its_content(
        self, talk: Talk, tmp_path: Path, fails: str, wait_for: WaitFor
    ) -> None:
        def failing(environ: Any, start_response: Any) -> list[bytes]:
            if fails == "at once":
                raise ValueError
            start_response("200 OK", [("Content-Length", "5"), ("X-Long", "x" * 500)])
            return [b"123"]

        path = tmp_path / "access.log"
        content = talk.ask(failing, access_log=str(path), access_log_format="%(s)s %(B)s").partition(b"\r\n\r\n")[2]
        wait_for(lambda: path.read_text() == f"500 {len(content)}\n", "the line")


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


async def asynchronous(scope: Any, receive: Any, send: Any) -> None: ...


@pytest.mark.parametrize(
    ("application", "message"),
    [
        ("shop.wsgi:app", "application='shop.wsgi:app': must be the application itself, not its name"),
        (None, "application: it is None, which is not callable"),
        (b"app", "application: it is of type bytes, which is not callable"),
        (asynchronous, "application: it is an ASGI application"),
        (lambda: None, "application: it does not take (environ, start_response)"),
    ],
)
def test_what_is_no_application_is_refused_at_the_start(application: Any, message: str) -> None:
    for start in (ropewalk.Server, ropewalk.serve):
        with pytest.raises(ConfigError) as caught:
            start(application, bind="127.0.0.1:0")
        assert str(caught.value).startswith(message)


def test_serve_in_a_thread_leads_to_server() -> None:
    raised: list[BaseException] = []

    def serve() -> None:
        try:
            ropewalk.serve(answering(), bind="127.0.0.1:0")
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    assert "in another thread use ropewalk.Server" in str(raised[0])
