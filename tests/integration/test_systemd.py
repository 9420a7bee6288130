"""The command as systemd starts it: with sockets that are open already, and a service manager to notify."""

from __future__ import annotations

import configparser
import http.client
import re
import shlex
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropewalk.config.load import load_settings
from ropewalk.process.master.worker_handle import KILL_MARGIN_SECONDS
from tests.helpers.paths import PROGRAMS, REPOSITORY

PAGE = REPOSITORY / "docs/systemd.md"

ACTIVATED = str(PROGRAMS / "socket_activation.py")

APPLICATION = """\
import os

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(sorted(name for name in os.environ if name.startswith(("LISTEN", "NOTIFY", "WATCHDOG")))).encode()]
"""

Activate = Callable[..., Any]


@pytest.fixture
def activate(start: Callable[..., Any], tmp_path: Path) -> Activate:
    (tmp_path / "shop.py").write_text(APPLICATION)

    def activate(kinds: str, names: str, *arguments: str, **env: str) -> Any:
        server = (sys.executable, "-W", "error", "-m", "ropewalk", *arguments, "shop")
        return start(sys.executable, ACTIVATED, kinds, names, *server, env=env)

    return activate


def port(running: Any, descriptor: int) -> int:
    """Of the socket that was passed as this descriptor."""
    return int(running.wait_line(rf"socket {descriptor}: \('127\.0\.0\.1', (\d+)\)")[1])


def get(number: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", number, timeout=20)
    connection.request("GET", "/")
    try:
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_sockets_of_systemd_are_the_listeners(activate: Activate, tmp_path: Path) -> None:
    path = tmp_path / "shop.sock"
    running = activate(f"tcp,{path}", "web:local")
    number = port(running, 3)
    running.wait_line(rf"Listening at: http://127\.0\.0\.1:{number} \(\d+\), passed by systemd as web\n")
    running.wait_line(rf"Listening at: unix:{path} \(\d+\), passed by systemd as local\n")
    running.wait_line("Ready: 1 worker")
    assert get(number) == ""  # the application finds none of the variables
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 OK\r\n")
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert path.exists()  # it is systemd's, which goes on listening
    assert "Warning" not in running.output


def test_bind_goes_over_the_sockets_of_systemd_with_a_warning(activate: Activate) -> None:
    running = activate("tcp", "web", "-b", "127.0.0.1:0")
    passed = port(running, 3)
    own = int(running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+) \(\d+\)\n")[1])
    running.wait_line(
        rf"\[WARNING\] http://127\.0\.0\.1:{passed}, passed by systemd, is not used because --bind is set"
    )
    running.wait_line("Ready: 1 worker")
    assert get(own) == ""
    with pytest.raises(ConnectionRefusedError):  # nobody holds it here; with systemd it would wait
        get(passed)


def test_bind_may_name_the_sockets_of_systemd(activate: Activate) -> None:
    running = activate("tcp,tcp", "web:other", "-b", "fd://3")
    running.wait_line(r"Listening at: \S+ \(\d+\), passed by systemd as web")
    running.wait_line(rf"http://127\.0\.0\.1:{port(running, 4)}, passed by systemd, is not used")
    running.wait_line("Ready: 1 worker")
    assert get(port(running, 3)) == ""
    assert "fd://3 in it" not in running.output


def test_a_bind_from_a_variable_counts_as_said(activate: Activate) -> None:
    running = activate("tcp", "web", ROPEWALK_BIND="127.0.0.1:0")
    running.wait_line("passed by systemd, is not used")


def test_sockets_of_systemd_go_over_port(activate: Activate) -> None:
    running = activate("tcp", "web", PORT="1")
    running.wait_line(r"\[WARNING\] PORT has no effect: systemd passes the listening sockets")
    running.wait_line(rf"Listening at: http://127\.0\.0\.1:{port(running, 3)} \(\d+\), passed by systemd as web\n")


def test_a_descriptor_that_is_no_listener_ends_the_start(activate: Activate, tmp_path: Path) -> None:
    running = activate("datagram", "web")
    assert running.wait_exit() == 2
    assert "ropewalk: LISTEN_FDS='1': descriptor 3: the descriptor is not a TCP or Unix stream socket" in running.output


def test_service_manager_is_notified_when_every_worker_is_ready(activate: Activate, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20)
        manager.bind(str(tmp_path / "notify"))
        running = activate("tcp", "web", "-w", "2", NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="2000000")
        heard = ""
        while "READY=1" not in heard:
            heard = manager.recv(4096).decode()
        assert heard == f"READY=1\nMAINPID={running.pid}\nSTATUS=Serving with 2 workers"
        assert get(port(running, 3)) == ""
        while heard != "WATCHDOG=1":
            heard = manager.recv(4096).decode()
        running.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in heard:
            heard = manager.recv(4096).decode()
        assert running.wait_exit() == 0
    assert re.search("Traceback", running.output) is None


def test_the_units_of_the_documentation_fit_the_server() -> None:
    socket_unit, service_unit = re.findall(r"```ini\n(.*?)```", PAGE.read_text(), re.DOTALL)
    units = []
    for text in (socket_unit, service_unit):
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str
        unit.read_string(text)
        units.append(unit)
    service = units[1]["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    loaded = load_settings(arguments, {})
    assert Path(program).name == "ropewalk"
    assert loaded.is_default("bind")
    assert (service["Type"], service["KillMode"], service["RestartPreventExitStatus"]) == ("notify", "mixed", "2")
    assert float(service["TimeoutStopSec"]) > loaded.settings.graceful_timeout + KILL_MARGIN_SECONDS
    assert int(units[0]["Socket"]["Backlog"]) == loaded.settings.backlog
    assert units[0]["Socket"]["SocketMode"] == "0660"
