"""The commands for a running server, and its admin listener."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

APPLICATION = """\
import os, time

def application(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        os.write(2, b"waiting\\n")
        while not os.path.exists("go"):
            time.sleep(0.01)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""

ROPEWALK = (sys.executable, "-W", "error", "-m", "ropewalk")
ADMIN = r"Admin at: http://127\.0\.0\.1:(\d+)"
LISTENING = r"Listening at: http://127\.0\.0\.1:(\d+) "


class Server:
    """A running server, with its commands and its admin listener."""

    def __init__(self, running: Any, directory: Path) -> None:
        self.running = running
        self._directory = directory
        self.port = int(running.wait_line(LISTENING)[1])

    def run(self, command: str, *arguments: str, status: int = 0) -> str:
        which = () if "--control-socket" in arguments else ("--process", str(self.running.pid))
        done = subprocess.run(
            [*ROPEWALK, command, *which, *arguments], cwd=self._directory, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "--json"))
        return found

    def get(self, path: str = "/", port: int = 0) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        connection.request("GET", path)
        response = connection.getresponse()
        content = response.read().decode()
        connection.close()
        return response.status, content

    def admin(self, path: str) -> tuple[int, str]:
        return self.get(path, int(self.running.wait_line(ADMIN)[1]))

    @contextmanager
    def waiting(self, count: int) -> Iterator[list[http.client.HTTPConnection]]:
        """This many requests inside the application."""
        with ExitStack() as to_close:
            connections = []
            for _ in range(count):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                connections.append(to_close.enter_context(closing(connection)))
                connection.request("GET", "/wait")
            self.running.wait_lines("waiting", count)
            yield connections


@pytest.fixture
def serve(start: Callable[..., Any], tmp_path: Path) -> Callable[..., Server]:
    (tmp_path / "shop.py").write_text(APPLICATION)

    def serve(*arguments: str, is_ready: bool = True) -> Server:
        running = start(*ROPEWALK, "-b", "127.0.0.1:0", *arguments, "shop")
        if is_ready:
            running.wait_line("Ready: ")
        return Server(running, tmp_path)

    return serve


def test_status_adds_up_the_counters_of_all_workers(
    serve: Callable[..., Server], wait_for: Callable[..., None]
) -> None:
    server = serve("-w", "2")
    for _ in range(10):
        assert server.get() == (200, "ok")
    wait_for(lambda: server.status()["totals"]["responses"]["2xx"] == 10, "ten answers")
    status = server.status()
    assert status["ready"]
    assert status["pid"] == server.running.pid
    assert [worker["state"] for worker in status["workers"]] == ["ready", "ready"]
    text = server.run("status")
    assert "responses 10 (2xx 10), refused 0" in text
    assert str(status["workers"][0]["pid"]) in text


def test_counters_of_a_worker_remain_after_its_exit(
    serve: Callable[..., Server], wait_for: Callable[..., None]
) -> None:
    server = serve()
    for _ in range(5):
        server.get()
    server.run("reload")
    server.running.wait_line("Worker exiting")
    server.get()
    wait_for(lambda: server.status()["totals"]["responses"]["2xx"] == 6, "six answers")
    assert server.status()["events"]["reloads"] == 1


def test_status_responds_while_every_thread_is_stuck(
    serve: Callable[..., Server], wait_for: Callable[..., None], tmp_path: Path
) -> None:
    server = serve("--threads", "2")

    def have_one_stack(stacks: str) -> bool:
        return bool(
            re.search(r'^Thread ropewalk-\d+ \(\d+\), ropewalk-\d+ \(\d+\):\n(  .*\n)* .*shop\.py"', stacks, re.M)
        )

    with server.waiting(2) as connections:
        status = server.status()
        assert status["gauges"]["in_flight"] == 2
        assert {each["request"] for each in status["workers"][0]["snapshot"]["running"]} == {"GET '/wait'"}
        # A thread may be about to look whether it may go on, and have a stack of its own.
        wait_for(lambda: have_one_stack(server.run("stacks")), "one stack for both threads")
        wait_for(
            lambda: have_one_stack(json.loads(server.run("stacks", "--json"))["workers"][0]["stacks"]),
            "one stack for both threads, as JSON",
        )
        (tmp_path / "go").touch()
        assert all(connection.getresponse().status == 200 for connection in connections)


def test_stopped_worker_is_reported_as_not_responding(serve: Callable[..., Server]) -> None:
    server = serve("--admin-bind", "127.0.0.1:0")
    (worker,) = server.status()["workers"]
    os.kill(worker["pid"], signal.SIGSTOP)
    try:
        assert "does not respond" in server.run("status")
        assert "ropewalk_workers_silent 1\n" in server.admin("/metrics")[1]
    finally:
        os.kill(worker["pid"], signal.SIGCONT)


def test_scale_reload_and_stop(serve: Callable[..., Server]) -> None:
    server = serve()
    server.run("scale", "2")
    server.running.wait_line("Ready: 2 workers")
    assert "must be an integer from 1 to 1024" in server.run("scale", "0", status=1)
    assert json.loads(server.run("reload", "--json")) == {"ok": True}
    server.running.wait_line("Reloaded: 2 workers")
    assert server.run("stop") == "stopping\n"
    assert server.running.wait_exit() == 0


def test_reload_command_reports_bad_settings(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text("threads = 2\n")
    server = serve("-c", "server.toml")
    (tmp_path / "server.toml").write_text("threads = 0\n")
    assert "--threads='0' (from server.toml): must be" in server.run("reload", status=1)
    assert "last reload failed: " in server.run("status")


def test_top_without_a_terminal_is_plain_text(serve: Callable[..., Server]) -> None:
    server = serve()
    text = server.run("top", "--count", "2", "--interval", "0.1")
    assert len(re.findall("ropewalk .*: ready, serving", text)) == 2
    assert "responses/s" in text
    assert "\x1b" not in text
    assert len([json.loads(line) for line in server.run("top", "--count", "2", "--json").splitlines()]) == 2


def test_control_socket_with_a_path_is_for_its_owner_only(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("--control-socket", "control")
    assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o600
    assert "ready, serving" in server.run("status", "--control-socket", "control")
    assert "no running server found for this user" in server.run("status", status=1)
    server.running.send_signal(signal.SIGTERM)
    assert server.running.wait_exit() == 0
    assert not (tmp_path / "control").exists()
    assert "cannot connect to a server at control" in server.run("status", "--control-socket", "control", status=1)


def test_empty_control_socket_setting_opens_none(serve: Callable[..., Server]) -> None:
    server = serve("--control-socket", "")
    assert "no running server found for this user" in server.run("status", status=1)


def test_server_is_not_ready_during_the_drain_delay(serve: Callable[..., Server]) -> None:
    server = serve("--admin-bind", "127.0.0.1:0", "--drain-delay", "600")
    assert server.admin("/readyz") == (200, "ready\n")
    assert server.run("healthcheck") == "ready\n"
    url = f"http://127.0.0.1:{server.running.wait_line(ADMIN)[1]}"
    assert server.run("healthcheck", f"{url}/readyz") == "200 OK\n"
    server.running.send_signal(signal.SIGTERM)
    server.running.wait_line("No longer ready")
    assert server.admin("/readyz") == (503, "not ready\n")
    assert server.admin("/livez") == (200, "alive\n")
    assert server.run("healthcheck", status=1) == "not ready: stopping\n"
    assert server.run("healthcheck", f"{url}/readyz", status=1) == "503 Service Unavailable\n"
    assert server.get() == (200, "ok")
    server.run("stop", "--quick")
    assert server.running.wait_exit() == 0


def test_server_is_not_ready_before_every_worker_has_loaded_the_application(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(
        "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n" + APPLICATION
    )
    server = serve("--admin-bind", "127.0.0.1:0", is_ready=False)
    assert server.admin("/readyz") == (503, "not ready\n")
    assert server.admin("/livez") == (200, "alive\n")
    (tmp_path / "go").touch()
    server.running.wait_line("Ready: ")
    assert server.admin("/readyz") == (200, "ready\n")


def test_metrics_page_and_json_of_the_admin_listener(
    serve: Callable[..., Server], wait_for: Callable[..., None]
) -> None:
    server = serve("--admin-bind", "127.0.0.1:0", "-w", "2")
    server.get()
    wait_for(lambda: 'ropewalk_requests_total{status="2xx"} 1\n' in server.admin("/metrics")[1], "an answer")
    assert "ropewalk_ready 1\n" in server.admin("/metrics")[1]
    assert server.admin("/")[1].startswith("<!doctype html>")
    assert json.loads(server.admin("/status.json")[1])["pid"] == server.running.pid


def test_admin_listener_answers_only_to_names_of_its_own(serve: Callable[..., Server]) -> None:
    server = serve("--admin-bind", "127.0.0.1:0", "--admin-hosts", "Metrics.example")
    port = int(server.running.wait_line(ADMIN)[1])

    def status_code(host: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/status.json", headers={"Host": host})
        with closing(connection):
            return connection.getresponse().status

    assert status_code(f"127.0.0.1:{port}") == status_code("metrics.example") == 200
    assert status_code("attacker.example") == 421  # whose name leads here: DNS rebinding


@pytest.mark.parametrize("command", ["status", "stop"])
def test_several_servers_are_described_to_choose_one(
    serve: Callable[..., Server], tmp_path: Path, command: str
) -> None:
    socket_path = tmp_path / "shop.sock"
    first, second = serve(), serve("-b", f"unix:{socket_path}", "-e", "PASSWORD=hunter2")
    done = subprocess.run([*ROPEWALK, command], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    title, *lines = done.stderr.splitlines()
    assert title == f"ropewalk {command}: several servers are running; choose one with --process PID:"
    assert f"  {first.running.pid}: shop at 127.0.0.1:{first.port} in {tmp_path}" in lines
    assert f"  {second.running.pid}: shop at 127.0.0.1:{second.port}, unix:{socket_path} in {tmp_path}" in lines
    assert "hunter2" not in done.stderr


def test_module_with_the_name_of_a_command_can_be_served(start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "status.py").write_text(APPLICATION)
    start(*ROPEWALK, "status:application", "-b", "127.0.0.1:0").wait_line("Ready: ")
    start(*ROPEWALK, "-b", "127.0.0.1:0", "status").wait_line("Ready: ")


@pytest.mark.parametrize(
    "arguments", [("scale",), ("scale", "many"), ("status", "--nonsense"), ("healthcheck", "http:///x")]
)
def test_wrong_usage_of_a_command_is_one_line_and_status_2(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([*ROPEWALK, *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert re.fullmatch(f"ropewalk: {arguments[0]}.*\n", done.stderr)


def test_master_and_workers_send_to_the_statsd_server(serve: Callable[..., Server]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(20)
        server = serve("-w", "2", "--statsd-host", f"127.0.0.1:{receiver.getsockname()[1]}", "--statsd-prefix", "shop")
        for _ in range(4):
            server.get()
        counted, gauge = 0, ""
        while counted < 4 or gauge != "2|g":
            for line in receiver.recv(65536).decode().split("\n"):
                name, _, value = line.partition(":")
                counted += int(value.removesuffix("|c")) if name == "shop.gunicorn.requests" else 0
                gauge = value if name == "shop.gunicorn.workers" else gauge
