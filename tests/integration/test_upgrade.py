"""An upgrade of the whole server: under load, with its files and its sockets of every kind, ended and taken back."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.paths import PROGRAMS

APPLICATION = """\
import os

VERSION = {version!r}

def application(environ, start_response):
    body = f"{{os.getppid()}} {{VERSION}}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""

# No byte code: two sources of one length within a second would share it.
ROPEWALK = (sys.executable, "-B", "-W", "error", "-m", "ropewalk")
LISTENING = r"Listening at: http://127\.0\.0\.1:(\d+) "
READY = r"The new master \(pid: (\d+)\) is ready"
UPGRADES = 4

Ended = Callable[[int], bool]
Serve = Callable[..., "Server"]


def write(project: Path, version: str) -> None:
    (project / "shop.py").write_text(APPLICATION.format(version=version))


def files(directory: Path) -> list[str]:
    """What the server made there."""
    return sorted(path.name for path in directory.iterdir() if path.suffix != ".py")


class Server:
    def __init__(self, running: Any, directory: Path, wait_for_end: Ended) -> None:
        self.running = running
        self.directory = directory
        self.masters = [running.pid]
        self._upgrades = 0
        self._wait_for_end = wait_for_end
        self.port = int(running.wait_line(LISTENING)[1])

    def get(self) -> list[str]:
        """The process id of the master, and the version of the code, that answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            assert response.status == 200
            return response.read().decode().split()
        finally:
            connection.close()

    def say(self, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [*ROPEWALK, *arguments], cwd=self.directory, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def upgrade(self) -> int:
        """USR2 to the newest master; the new one's process id, once it is ready."""
        os.kill(self.masters[-1], signal.SIGUSR2)
        self._upgrades += 1
        self.masters.append(int(self.running.wait_lines(READY, self._upgrades)[-1][1]))
        return self.masters[-1]

    def end(self, master: int) -> None:
        os.kill(master, signal.SIGTERM)
        assert self._wait_for_end(master)
        self.masters.remove(master)

    def finish(self, master: int) -> None:
        """End an old master, and wait until the new one has its place."""
        self.end(master)
        self.running.wait_line(rf"The old master \(pid: {master}\) has exited; this one has taken over")

    @contextmanager
    def load(self) -> Iterator[list[Any]]:
        """Clients meanwhile; what went wrong for them."""
        stop, answers, faults = threading.Event(), [0, 0], []

        def ask(number: int) -> None:
            try:
                while not stop.is_set():
                    self.get()
                    answers[number] += 1
                    stop.wait(0.002)  # a modest load: some hundred a second
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer to the test's question
                faults.append(error)

        clients = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
        for client in clients:
            client.start()
        try:
            yield faults
            deadline = time.monotonic() + 20  # what is over at once is gone on from for a while
            while min(answers) <= 10 and not faults and time.monotonic() < deadline:
                stop.wait(0.01)
        finally:
            stop.set()
            for client in clients:
                client.join()
        assert min(answers) > 10


@pytest.fixture
def serve(start: Callable[..., Any], tmp_path: Path, wait_for_end: Ended) -> Iterator[Serve]:
    write(tmp_path, "one")
    servers: list[Server] = []

    def serve(*arguments: str, prefix: tuple[str, ...] = (), **env: str) -> Server:
        running = start(*prefix, *ROPEWALK, *arguments, "shop", env=env)
        running.wait_line("Ready: ")
        servers.append(Server(running, tmp_path, wait_for_end))
        return servers[-1]

    yield serve
    for server in servers:
        for master in reversed(server.masters):
            server.end(master)
        assert not re.findall(".*Warning:.*", server.running.output)


def test_no_request_is_lost_over_upgrades_that_are_ended_and_taken_back(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "2", "-b", "127.0.0.1:0")
    with server.load() as faults:
        for number in range(UPGRADES):
            old = server.masters[-1]
            write(tmp_path, f"v{number}")
            new = server.upgrade()
            if number % 2:
                server.end(new)
                assert int(server.get()[0]) == old
            else:
                server.finish(old)
                assert server.get() == [str(new), f"v{number}"]
    assert not faults
    assert "Requests aborted" not in server.running.output


def test_the_files_are_the_old_masters_until_it_is_gone(serve: Serve, tmp_path: Path, wait_for: Any) -> None:
    server = serve("-b", "127.0.0.1:0", "-b", "unix:shop.sock", "-p", "shop.pid", "--control-socket", "control")
    old = server.masters[0]
    new = server.upgrade()
    assert (tmp_path / "shop.pid").read_text() == f"{old}\n"
    assert (tmp_path / "shop.pid.2").read_text() == f"{new}\n"
    for name, pid in (("control", old), ("control.2", new)):
        assert json.loads(server.say("status", "--json", "--control-socket", name))["pid"] == pid
    server.finish(old)
    wait_for(lambda: (tmp_path / "shop.pid").exists() and (tmp_path / "control").exists(), "the taking over")
    assert (tmp_path / "shop.pid").read_text() == f"{new}\n"
    assert json.loads(server.say("status", "--json", "--control-socket", "control"))["pid"] == new
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".py") == [
        "control",
        "shop.pid",
        "shop.sock",
    ]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "shop.sock"))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.makefile("rb").read().endswith(f"{new} one".encode())
    server.end(new)
    assert files(tmp_path) == []


def test_an_upgrade_taken_back_leaves_the_old_masters_files(serve: Serve, tmp_path: Path) -> None:
    server = serve("-b", "127.0.0.1:0", "-b", "unix:shop.sock", "-p", "shop.pid", "--control-socket", "control")
    server.end(server.upgrade())
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".py") == [
        "control",
        "shop.pid",
        "shop.sock",
    ]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "shop.sock"))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.makefile("rb").read().endswith(b" one")


def test_admin_listener_shows_the_master_that_serves(serve: Serve, tmp_path: Path, wait_for: Any) -> None:
    server = serve("-b", "127.0.0.1:0", "--admin-bind", "127.0.0.1:0")
    admin = int(server.running.wait_line(r"Admin at: http://127\.0\.0\.1:(\d+)")[1])

    def pid() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=20)
        try:
            connection.request("GET", "/status.json")
            return int(json.loads(connection.getresponse().read())["pid"])
        finally:
            connection.close()

    old = server.masters[0]
    assert pid() == old
    new = server.upgrade()
    wait_for(lambda: all(pid() == new for _ in range(5)), "that only the new master answers")
    server.end(new)
    wait_for(lambda: all(pid() == old for _ in range(5)), "that the old master answers again")


def test_code_that_cannot_be_loaded_leaves_the_old_serving(serve: Serve, tmp_path: Path) -> None:
    server = serve("-b", "127.0.0.1:0")
    (tmp_path / "shop.py").write_text("import gone_and_lost\n")
    said = server.say("upgrade", "--process", str(server.running.pid), status=1)
    assert "No module named 'gone_and_lost'" in said
    server.running.wait_line("Upgrade failed; keeping the old master: .*No module named 'gone_and_lost'")
    assert server.get()[1] == "one"
    status = json.loads(server.say("status", "--json", "--process", str(server.running.pid)))
    assert "gone_and_lost" in status["upgrade"]["last_failure"]


def test_a_setting_that_is_wrong_leaves_the_old_serving(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text("workers = 1\n")
    server = serve("-b", "127.0.0.1:0", "-c", "server.toml")
    (tmp_path / "server.toml").write_text("workers = 0\n")
    os.kill(server.running.pid, signal.SIGUSR2)
    server.running.wait_line("Upgrade failed; keeping the old master: --workers='0' .*from server.toml")
    assert server.get()[1] == "one"


def test_the_command_upgrades_and_ends_the_old_one(serve: Serve, tmp_path: Path, wait_for_end: Ended) -> None:
    server = serve("-w", "2", "-b", "127.0.0.1:0")
    write(tmp_path, "two")
    with server.load() as faults:
        answer = json.loads(server.say("upgrade", "--json", "--process", str(server.running.pid)))
        assert answer["old"] == server.running.pid
        assert wait_for_end(answer["old"])
        assert server.get() == [str(answer["new"]), "two"]
    assert not faults
    server.masters = [answer["new"]]


def test_other_addresses_of_the_new_settings_are_opened_and_the_rest_closed(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text('bind = ["127.0.0.1:0", "unix:old.sock"]\n')
    server = serve("-c", "server.toml")
    (tmp_path / "server.toml").write_text('bind = ["127.0.0.1:0", "unix:new.sock"]\n')
    old = server.masters[0]
    new = server.upgrade()
    assert (tmp_path / "old.sock").exists()
    server.finish(old)
    assert server.get()[0] == str(new)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "new.sock"))
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(str(tmp_path / "old.sock"))


def test_sockets_of_systemd_are_handed_on_and_it_hears_of_the_new_main_process(serve: Serve, tmp_path: Path) -> None:
    activated = (sys.executable, str(PROGRAMS / "socket_activation.py"), "tcp", "web")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20)
        manager.bind(str(tmp_path / "notify"))
        server = serve(prefix=activated, NOTIFY_SOCKET=str(tmp_path / "notify"))

        def wait_message(*lines: str) -> list[str]:
            """The next message with these lines."""
            while True:
                message = manager.recv(65536).decode().splitlines()
                if set(lines) <= set(message):
                    return message

        old = server.masters[0]
        wait_message("READY=1", f"MAINPID={old}")
        new = server.upgrade()
        with server.load() as faults:
            server.finish(old)
            assert server.get()[0] == str(new)
        assert not faults
        message = manager.recv(65536).decode().splitlines()
        assert message[0] == f"MAINPID={new}"  # nothing of the new one before
        wait_message("READY=1", f"MAINPID={new}")


def slow(project: Path, version: str) -> None:
    """Code that takes a while to load."""
    write(project, version)
    with (project / "shop.py").open("a") as file:
        file.write("import time\ntime.sleep(1)\n")


def test_no_request_is_lost_if_term_follows_usr2_at_once(serve: Serve, tmp_path: Path, wait_for_end: Ended) -> None:
    server = serve("-w", "2", "-b", "127.0.0.1:0")
    old = server.running.pid
    slow(tmp_path, "two")
    with server.load() as faults:
        os.kill(old, signal.SIGUSR2)
        os.kill(old, signal.SIGTERM)
        new = int(server.running.wait_line(r"The new master \(pid: (\d+)\) is ready")[1])
        assert wait_for_end(old)
        assert server.get() == [str(new), "two"]
    assert not faults
    server.masters = [new]


def test_an_old_master_that_ends_at_once_leaves_its_sockets_and_files_to_the_new_one(
    serve: Serve, tmp_path: Path, wait_for_end: Ended, wait_for: Any
) -> None:
    server = serve("-b", "127.0.0.1:0", "-b", "unix:shop.sock", "-p", "shop.pid", "--control-socket", "control")
    old = server.running.pid
    slow(tmp_path, "two")
    os.kill(old, signal.SIGUSR2)
    new = int(server.running.wait_line(r"Upgrading: new master with pid: (\d+)")[1])
    os.kill(old, signal.SIGQUIT)
    assert wait_for_end(old)
    server.masters = [new]
    assert server.get() == [str(new), "two"]  # at the same address
    wait_for(lambda: files(tmp_path) == ["control", "shop.pid", "shop.sock"], "the taking over")
    assert (tmp_path / "shop.pid").read_text() == f"{new}\n"


def test_systemd_hears_of_the_new_main_process_after_usr2_and_term(
    serve: Serve, tmp_path: Path, wait_for_end: Ended
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20)
        manager.bind(str(tmp_path / "notify"))
        server = serve("-b", "127.0.0.1:0", NOTIFY_SOCKET=str(tmp_path / "notify"))
        old = server.running.pid
        slow(tmp_path, "two")
        os.kill(old, signal.SIGUSR2)
        os.kill(old, signal.SIGTERM)
        new = int(server.running.wait_line(r"The new master \(pid: (\d+)\) is ready")[1])
        assert wait_for_end(old)
        server.masters = [new]
        messages: list[str] = []
        while not any(f"MAINPID={new}" in message and "READY=1" in message for message in messages):
            messages.append(manager.recv(65536).decode())
    assert not any("STOPPING=1" in message for message in messages)
    waiting = next(number for number, text in enumerate(messages) if "Stopping once the new master" in text)
    assert any(f"MAINPID={new}" in message and "READY=1" not in message for message in messages[waiting:])
