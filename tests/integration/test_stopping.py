"""TERM at the whole server, called directly: clients that have connected are served, later ones are refused."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropewalk.process.system.signals import WORKER_SIGNALS

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

COMMAND = (sys.executable, "-W", "error", "-m", "ropewalk", "-w", "2", "--threads", "4")
LISTENING = r"Listening at: http://127\.0\.0\.1:(\d+) "
ROUNDS = 5


def get(port: int, path: str = "/") -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_under_load_each_request_is_answered_or_refused(start: Callable[..., Any], tmp_path: Path, number: int) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION)
    running = start(*COMMAND, "-b", "127.0.0.1:0", "shop")
    port = int(running.wait_line(LISTENING)[1])
    running.wait_line("Ready: 2 workers")
    outcomes: list[str] = []

    def ask() -> None:
        """Until the server refuses."""
        while True:
            try:
                outcomes.append(get(port).decode())
            except ConnectionRefusedError:
                outcomes.append("refused")
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer to the test's question
                outcomes.append(repr(error))
                return

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    while "ok" not in outcomes:
        get(port)
    running.send_signal(signal.SIGTERM)
    for client in clients:
        client.join()
    assert running.wait_exit() == 0
    assert set(outcomes) == {"ok", "refused"}
    assert outcomes.count("refused") == len(clients)


@pytest.mark.parametrize("delay", [(), ("--drain-delay", "0.5")])
def test_term_to_the_process_group_is_no_error(
    start: Callable[..., Any], tmp_path: Path, delay: tuple[str, ...]
) -> None:
    """As supervisors, shells and `timeout` send it: the workers get it too, and drain by themselves."""
    (tmp_path / "shop.py").write_text(APPLICATION)
    running = start(*COMMAND, *delay, "-b", "127.0.0.1:0", "shop")
    running.wait_line("Ready: 2 workers")
    os.killpg(running.pid, signal.SIGTERM)
    assert running.wait_exit() == 0
    assert "[ERROR]" not in running.output
    assert "[WARNING]" not in running.output
    assert running.output.count("Booting worker") == 2 or delay  # which is time to serve: others take their places


SIGNALLED_LATE = """\
import os, signal, sys, types

class Last:
    def __del__(self, write=os.write, kill=os.kill, pid=os.getpid()):
        kill(pid, %d)
        write(2, b"still here\\n")

sys.modules["late"] = types.ModuleType("late")
sys.modules["late"].last = Last()  # until the interpreter's shutdown clears the modules

def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.mark.parametrize("number", WORKER_SIGNALS)
def test_signal_that_comes_during_the_interpreters_shutdown_does_not_kill_a_worker(
    start: Callable[..., Any], tmp_path: Path, number: int
) -> None:
    (tmp_path / "shop.py").write_text(SIGNALLED_LATE % number)
    running = start(*COMMAND, "-b", "127.0.0.1:0", "shop")
    running.wait_line("Ready: 2 workers")
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert running.output.count("still here") == 2
    assert "[ERROR]" not in running.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2])
def test_signal_that_comes_while_the_master_exits_leaves_nothing_behind(
    start: Callable[..., Any], tmp_path: Path, number: int
) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION)
    hook = f"import os\ndef on_exit(server):\n    os.kill(os.getpid(), {int(number)})\n"
    (tmp_path / "settings.py").write_text(hook)
    options = ("--config", "settings.py", "--pid", "shop.pid", "-b", "unix:shop.sock")
    running = start(*COMMAND, *options, "shop")
    running.wait_line("Ready: 2 workers")
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["settings.py", "shop.py"]
    assert "Shutting down: Master" in running.output


def test_question_where_a_worker_is_does_not_kill_it_when_it_has_just_failed(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(SIGNALLED_LATE % signal.SIGUSR1 + "raise ValueError('no database')")
    running = start(*COMMAND, "-b", "127.0.0.1:0", "shop")
    assert running.wait_exit() != 0
    assert "still here" in running.output
    assert "ValueError: no database" in running.output


def test_while_the_last_request_is_finished_others_are_refused(start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION)
    running = start(*COMMAND, "-b", "127.0.0.1:0", "-b", "unix:shop.sock", "shop")
    port = int(running.wait_line(LISTENING)[1])
    running.wait_line("Ready: 2 workers")
    waiting = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    waiting.request("GET", "/wait")
    running.wait_line("waiting")
    running.send_signal(signal.SIGTERM)
    running.wait_lines(r"Worker exiting|Worker drained", 1)  # the other worker, whose sockets are the last
    with pytest.raises(ConnectionRefusedError):
        get(port)
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(FileNotFoundError):
        client.connect(str(tmp_path / "shop.sock"))
    (tmp_path / "go").touch()
    assert waiting.getresponse().read() == b"ok"
    waiting.close()
    assert running.wait_exit() == 0


HUNG = """\
import os, threading

forever = threading.Event()

def application(environ, start_response):
    if environ["PATH_INFO"] == "/hang":
        os.write(2, b"hanging\\n")
        forever.wait(600)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("--timeout", "0.5", "--graceful-timeout", "60"), "a timeout that comes first"),
        (("--timeout", "0", "--graceful-timeout", "0.5"), "the end of the grace period"),
    ],
)
def test_a_hung_request_gets_504_while_its_worker_drains(
    start: Callable[..., Any], tmp_path: Path, number: signal.Signals, settings: tuple[str, ...], reason: str
) -> None:
    (tmp_path / "shop.py").write_text(HUNG)
    command = (sys.executable, "-W", "error", "-m", "ropewalk", "-w", "1", "-b", "127.0.0.1:0", *settings)
    running = start(*command, "shop")
    port = int(running.wait_line(LISTENING)[1])
    running.wait_line("Ready: 1 worker")
    hung = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    hung.request("GET", "/hang")
    running.wait_line("hanging")
    running.send_signal(number)
    assert hung.getresponse().status == 504, reason
    hung.close()
    running.wait_line(r"Worker timeout \(pid: \d+\): GET '/hang' has run for")
    running.wait_line("forever.wait")  # of the stacks
    running.wait_line("Worker exiting")
    if number == signal.SIGHUP:
        assert get(port) == b"ok"
        running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("is_draining", [False, True])
def test_requests_that_are_aborted_are_counted_in_the_log(
    start: Callable[..., Any], tmp_path: Path, number: int, is_draining: bool
) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION)
    running = start(*COMMAND, "-b", "127.0.0.1:0", "shop")
    port = int(running.wait_line(LISTENING)[1])
    running.wait_line("Ready: 2 workers")
    waiting = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    waiting.request("GET", "/wait")
    running.wait_line("waiting")
    if is_draining:
        running.send_signal(signal.SIGTERM)
        running.wait_lines(r"Worker exiting|Worker drained", 1)
    running.send_signal(number)
    assert running.wait_exit() == 0
    assert running.output.count("Requests aborted, since INT and QUIT wait for none: 1\n") == 1
    waiting.close()
