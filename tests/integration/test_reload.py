"""HUP and USR1 at the whole server: under load, with logs that are rotated, with settings that change."""

from __future__ import annotations

import http.client
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

APPLICATION = """\
import os, time

VERSION = {version!r}

def application(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        os.write(2, b"waiting\\n")
        while not os.path.exists("go"):
            time.sleep(0.01)
    environ["wsgi.errors"].write("asked for %s\\n" % environ["PATH_INFO"])
    body = f"{{os.getpid()}} {{VERSION}} {{os.environ.get('GREETING')}}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""

RELOADS = 10

Serve = Callable[..., Any]


LISTENING = r"Listening at: http://127\.0\.0\.1:(\d+) "


class Server:
    def __init__(self, running: Any, port: int) -> None:
        self.running = running
        self.port = port

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def get(self, target: str) -> str:
        connection = self.connect()
        connection.request("GET", target)
        return self.read(connection)

    @staticmethod
    def read(connection: http.client.HTTPConnection) -> str:
        try:
            response = connection.getresponse()
            assert response.status == 200
            return response.read().decode()
        finally:
            connection.close()

    def reload(self, count: int = 1) -> None:
        """Send the `count`th HUP and wait until it has had its effect."""
        self.running.send_signal(signal.SIGHUP)
        self.running.wait_lines("Reloaded: ", count)


def write(project: Path, version: str) -> None:
    (project / "shop.py").write_text(APPLICATION.format(version=version))


def command(*arguments: str) -> tuple[str, ...]:
    # No byte code: two sources of one length within a second would share it.
    return (sys.executable, "-B", "-W", "error", "-m", "ropewalk", "-b", "127.0.0.1:0", *arguments, "shop")


@pytest.fixture
def serve(start: Callable[..., Any], tmp_path: Path) -> Serve:
    write(tmp_path, "one")

    def serve(*arguments: str) -> Server:
        running = start(*command(*arguments))
        running.wait_line("Ready: ")
        return Server(running, int(running.wait_line(LISTENING)[1]))

    return serve


def test_a_reload_serves_the_new_code_and_finishes_what_is_in_flight(
    serve: Serve, tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    server = serve()
    waiting = server.connect()
    waiting.request("GET", "/wait")
    server.running.wait_line("waiting")
    write(tmp_path, "two")
    server.reload()
    # Until the old worker receives its signal, it still takes connections.
    wait_for(lambda: server.get("/").split()[1] == "two", "an answer of the new code")
    (tmp_path / "go").touch()
    assert server.read(waiting).split()[1] == "one"


def test_a_reload_serves_the_new_code_of_what_the_configuration_file_imports(
    serve: Serve, tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "conf.py").write_text("import shop\nraw_env = ['GREETING=hello-' + shop.VERSION]\n")
    server = serve("-c", "etc/conf.py")
    assert server.get("/").split()[1:] == ["one", "hello-one"]
    write(tmp_path, "two")
    server.reload()
    wait_for(lambda: server.get("/").split()[1:] == ["two", "hello-two"], "an answer of the new code")


def test_a_server_that_was_started_with_hangups_ignored_reloads(
    start: Callable[..., Any], tmp_path: Path
) -> None:  # as by nohup
    write(tmp_path, "one")
    running = start("sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *command())
    running.wait_line("Ready: ")
    server = Server(running, int(running.wait_line(LISTENING)[1]))
    write(tmp_path, "two")
    server.reload()
    server.running.wait_line("Worker exiting")
    assert server.get("/").split()[1] == "two"


def test_code_that_cannot_be_loaded_leaves_the_old_serving(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "2")
    (tmp_path / "shop.py").write_text("import gone_and_lost\n")
    server.running.send_signal(signal.SIGHUP)
    server.running.wait_line("Reload failed; keeping the old workers: .*No module named 'gone_and_lost'")
    server.running.wait_line("Traceback")
    assert {server.get("/").split()[1] for _ in range(8)} == {"one"}
    write(tmp_path, "two")
    server.reload()
    server.running.wait_lines("Worker exiting", 2)
    assert {server.get("/").split()[1] for _ in range(8)} == {"two"}


def test_no_request_is_lost_over_many_reloads(serve: Serve) -> None:
    server = serve("-w", "2")
    stop, answers, faults = threading.Event(), [0, 0], []

    def ask(number: int) -> None:
        try:
            while not stop.is_set():
                server.get("/")
                answers[number] += 1
                stop.wait(0.002)  # a modest load: some hundred a second
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer to the test's question
            faults.append(error)

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for client in clients:
        client.start()
    try:
        for count in range(1, RELOADS + 1):
            server.reload(count)
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert not faults
    assert min(answers) > RELOADS
    assert "Requests aborted" not in server.running.output


def test_a_reload_reads_the_file_again(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text('env = ["GREETING=hello"]\n')
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "shop.py").write_text(APPLICATION.format(version="inner"))
    server = serve("-c", "server.toml", "--chdir", "inner")
    assert server.get("/").split()[1:] == ["inner", "hello"]
    (tmp_path / "server.toml").write_text('env = ["GREETING=hi"]\nworkers = 2\nbacklog = 7\n')
    server.running.send_signal(signal.SIGHUP)
    server.running.wait_line("Reloaded: 2 workers")
    server.running.wait_line("these changes need a restart: backlog")
    server.running.wait_line("Worker exiting")
    assert server.get("/").split()[1:] == ["inner", "hi"]


def test_variables_and_directories_removed_from_the_file_are_gone_after_a_reload(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(
        "import importlib.util, os\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    found = importlib.util.find_spec('only_there') is not None\n"
        "    return [' '.join([str(found), *(os.environ.get(name, '-') for name in 'ABC')]).encode()]\n"
    )
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "only_there.py").touch()
    file = tmp_path / "server.toml"
    file.write_text('env = ["A=1", "B=1"]\npythonpath = ["library"]\n')
    running = start(*command("-c", "server.toml"), env={"B": "before"})
    running.wait_line("Ready: ")
    server = Server(running, int(running.wait_line(LISTENING)[1]))
    assert server.get("/") == "True 1 1 -"
    file.write_text('env = ["C=1"]\n')
    server.reload()
    running.wait_lines("Worker exiting", 1)
    assert server.get("/") == "False - before 1"
    file.write_text('env = ["A=2"]\npythonpath = ["library"]\n')
    server.reload(2)
    running.wait_lines("Worker exiting", 2)
    assert server.get("/") == "True 2 before -"


def test_a_file_that_has_a_fault_is_refused_and_nothing_changes(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text("workers = 1\n")
    server = serve("-c", "server.toml")
    before = server.get("/")
    (tmp_path / "server.toml").write_text("wrokers = 2\n")
    server.running.send_signal(signal.SIGHUP)
    server.running.wait_line(r"Reload failed.*: wrokers \(from server.toml\): no such setting; did you mean workers\?")
    assert server.get("/") == before


def open_files(master: int) -> set[str]:
    """What the master and its workers have open."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    found = set()
    for pid in (master, *children):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed between two looks
                found.add(os.readlink(descriptor))
    return found


def test_rotated_logs_lose_no_line(start: Callable[..., Any], tmp_path: Path, wait_for: Callable[..., None]) -> None:
    write(tmp_path, "one")
    access, error = tmp_path / "access.log", tmp_path / "error.log"
    error.touch()
    running = start(
        *command("-w", "2", "--error-logfile", "error.log"),
        *("--access-logfile", "access.log", "--access-logformat", "%(U)s"),
    )
    wait_for(lambda: "Ready: 2 workers" in error.read_text(), "readiness")
    port = re.search(LISTENING, error.read_text())
    assert port is not None
    server, asked = Server(running, int(port[1])), []
    for turn in range(5):
        for number in range(20):
            asked.append(f"/{turn}/{number}")
            server.get(asked[-1])
        moved = [log.rename(log.with_suffix(f".{turn}")) for log in (access, error)]
        running.send_signal(signal.SIGUSR1)
        for log in moved:
            wait_for(lambda log=log: str(log) not in open_files(running.pid), f"letting go of {log.name}")
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    lines = [line for path in tmp_path.glob("access.*") for line in path.read_text().splitlines()]
    assert sorted(lines) == sorted(asked)
    messages = [line for path in tmp_path.glob("error.*") for line in path.read_text().splitlines()]
    assert sum("Handling signal: usr1" in line for line in messages) == 5
    assert error.read_text().count("Worker exiting") == 2
    assert "Shutting down: Master" in error.read_text()


def test_a_log_that_cannot_be_opened_again_is_written_on(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    server = serve("--access-logfile", "logs/access.log", "--access-logformat", "%(U)s")
    (tmp_path / "logs").rename(tmp_path / "moved")
    server.running.send_signal(signal.SIGUSR1)
    server.running.wait_line("Cannot reopen a log file: --access-logfile='.*/logs/access.log': cannot be opened")
    server.get("/still")
    server.running.send_signal(signal.SIGTERM)
    assert server.running.wait_exit() == 0
    assert (tmp_path / "moved" / "access.log").read_text() == "/still\n"
