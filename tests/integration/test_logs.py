"""The logs of a whole server: lines that a program can read, and disks and pipes that do not take them."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

APPLICATION = """\
import os, time

def application(environ, start_response):
    match environ["PATH_INFO"]:
        case "/fault":
            raise ValueError("a fault\\nof two lines")
        case "/errors":
            print("said to wsgi.errors", file=environ["wsgi.errors"])
        case "/slow":
            while not os.path.exists("go"):
                time.sleep(0.01)
        case "/print":
            print("printed", flush=True)
        case "/kill":
            os.kill(os.getpid(), 9)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""

ROPEWALK = (sys.executable, "-W", "error", "-m", "ropewalk")
LISTENING = r"Listening at: http://127\.0\.0\.1:(\d+) "
LISTENING_JSON = r'"message":"Listening at: http://127\.0\.0\.1:(\d+) '

CLOSED = """\
import os, sys
for descriptor in map(int, sys.argv[1].split(",")):
    os.close(descriptor)
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Runs a command with these descriptors closed."""

WITHOUT_READERS = """\
import os, sys
os.environ.pop("PYTHONUNBUFFERED", None)
for descriptor in map(int, sys.argv[1].split(",")):
    reading_end, writing_end = os.pipe()
    os.dup2(writing_end, descriptor)
    os.close(reading_end)
    os.close(writing_end)
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Runs a command whose output, on these descriptors, nobody reads any more."""

Start = Callable[..., Any]
WaitFor = Callable[[Callable[[], object], str], None]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APPLICATION)
    return tmp_path


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


def get(address: int | Path, target: str = "/") -> int:
    """The status code; 0 when the connection ended without an answer."""
    if isinstance(address, Path):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(str(address))
    else:
        connection = http.client.HTTPConnection("127.0.0.1", address, timeout=20)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        response.read()
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return 0
    finally:
        connection.close()
    return response.status


def messages(text: str) -> list[dict[str, Any]]:
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_every_message_is_a_line_of_json(start: Start, project: Path, wait_for: WaitFor) -> None:
    running = start(
        *(*ROPEWALK, "-b", "127.0.0.1:0", "-w", "2", "--error-log-format", "json", "--timeout", "0.5"),
        *("--request-id", "environ", "--log-level", "debug", "shop"),
    )
    running.wait_line('"message":"Ready: 2 workers"')
    port = int(running.wait_line(LISTENING_JSON)[1])
    assert [get(port, "/fault"), get(port, "/errors"), get(port, "/slow")] == [500, 200, 504]
    (project / "go").touch()
    assert get(port, "/kill") == 0
    running.wait_line("was killed by SIGKILL")
    (project / "shop.py").write_text("import gone_and_lost\n")
    running.send_signal(signal.SIGHUP)
    running.wait_line('"message":"Reload failed')
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    found = messages(running.output)
    assert all({"time", "level", "pid", "message"} <= set(each) for each in found)
    by_message = {each["message"]: each for each in found}
    fault = by_message["GET '/fault': the application raised ValueError"]
    assert fault["exception"] == "ValueError: a fault\nof two lines"
    assert fault["traceback"].startswith("Traceback ")
    assert re.fullmatch("[0-9a-f]{24}", fault["request_id"])
    assert by_message["said to wsgi.errors"]["level"] == "error"
    assert any(re.search(r"GET '/slow' \(request id [0-9a-f]{24}\) has run for", each) for each in by_message)
    assert any(each.startswith("Stacks of all threads:\n") for each in by_message)
    assert any("No module named 'gone_and_lost'" in each and "Traceback" in each for each in by_message)


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["gone"], 3, "no module named 'gone'"),
        (["broken"], 3, "importing broken raised ValueError: in the module"),
        (["-b", "127.0.0.1:1", "shop"], 2, "already in use"),
        (["--static", "/a=gone", "shop"], 2, "--static='/a=gone'"),
    ],
)
def test_a_start_that_fails_says_so_in_json_too(project: Path, arguments: list[str], status: int, text: str) -> None:
    (project / "broken.py").write_text("raise ValueError('in the module')\n")
    listening = [] if "-b" in arguments else ["-b", "127.0.0.1:0"]
    with socket.socket() as taken:
        if "127.0.0.1:1" in arguments:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            name = f"127.0.0.1:{taken.getsockname()[1]}"
            arguments, text = ["-b", name, "shop"], name
        command = [*ROPEWALK, "--error-log-format", "json", *listening, *arguments]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=30)
    assert done.returncode == status
    last = messages(done.stderr)[-1]
    assert last["level"] == "critical"
    assert text in last["message"]


def test_unreadable_file_is_reported(project: Path) -> None:
    command = [*ROPEWALK, "--error-log-format", "xml", "shop"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=30)
    assert done.stderr == "ropewalk: --error-log-format='xml': must be one of plain, json, terminal\n"


def test_an_applications_errors_go_to_the_log_that_is_a_file(start: Start, project: Path, wait_for: WaitFor) -> None:
    running = start(*ROPEWALK, "-b", "unix:shop.sock", "--error-logfile", "error.log", "shop")
    log = project / "error.log"
    wait_for(lambda: log.exists() and "Ready: " in log.read_text(), "the start")
    assert get(project / "shop.sock", "/errors") == 200
    wait_for(lambda: "said to wsgi.errors\n" in log.read_text(), "the line")
    assert "said" not in running.output


REQUESTS = 20


def test_a_full_disk_never_stops_serving(start: Start, project: Path, wait_for: WaitFor) -> None:
    for name in ("access.log", "error.log"):
        (project / name).symlink_to("/dev/full")
    running = start(
        *(*ROPEWALK, "-b", "unix:shop.sock", "-w", "2", "--pid", "server.pid"),
        *("--access-logfile", "access.log", "--error-logfile", "error.log", "--control-socket", "control", "shop"),
    )
    wait_for(lambda: listens(project / "shop.sock"), "the start")

    def lost(log: str) -> int:
        say = [*ROPEWALK, "status", "--json", "--control-socket", "control"]
        done = subprocess.run(say, cwd=project, capture_output=True, text=True, timeout=30, check=True)
        counted: int = json.loads(done.stdout)["totals"]["log_lost"][log]
        return counted

    for _ in range(REQUESTS):
        assert get(project / "shop.sock") == 200
        assert get(project / "shop.sock", "/fault") == 500
    wait_for(lambda: lost("access") == 2 * REQUESTS, "the count of lines that were lost")
    assert lost("error") >= REQUESTS
    for name in ("access.log", "error.log"):
        (project / name).unlink()
    running.send_signal(signal.SIGUSR1)
    access, error = project / "access.log", project / "error.log"
    wait_for(lambda: access.exists() and error.exists(), "new files")

    def lost(pattern: str) -> int:
        return sum(map(int, re.findall(pattern, error.read_text())))

    def ask_until_told() -> bool:
        assert get(project / "shop.sock") == 200
        return lost(r"(\d+) access log lines? w\w+ lost") >= 2 * REQUESTS

    wait_for(ask_until_told, "the count of lines that were lost, in the log")
    assert lost(r"(\d+) log messages? w\w+ lost \(No space left on device\)") >= REQUESTS
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0


@pytest.mark.parametrize("descriptors", ["1", "2", "1,2"])
def test_logs_that_nobody_reads_any_more_never_stop_serving(
    start: Start, project: Path, wait_for: WaitFor, descriptors: str
) -> None:
    running = start(
        *(sys.executable, "-c", WITHOUT_READERS, descriptors, *ROPEWALK, "-b", "unix:shop.sock", "-w", "2"),
        *("--access-logfile", "-", "shop"),
    )
    wait_for(lambda: listens(project / "shop.sock"), "the start")
    for _ in range(REQUESTS):
        assert get(project / "shop.sock") == 200
        assert get(project / "shop.sock", "/fault") == 500
        assert get(project / "shop.sock", "/errors") == 200
    running.send_signal(signal.SIGHUP)
    running.send_signal(signal.SIGUSR1)
    for _ in range(REQUESTS):
        assert get(project / "shop.sock") == 200
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    if descriptors == "1":
        assert "cannot write the access log: Broken pipe" in running.output


@pytest.mark.parametrize("descriptors", ["1", "2", "0,1,2"])
def test_standard_streams_that_are_closed_never_stop_serving(
    start: Start, project: Path, wait_for: WaitFor, descriptors: str
) -> None:
    running = start(
        *(sys.executable, "-c", CLOSED, descriptors, *ROPEWALK, "-b", "unix:shop.sock", "-w", "2"),
        *("--access-logfile", "-", "shop"),
    )
    wait_for(lambda: listens(project / "shop.sock"), "the start")
    for _ in range(REQUESTS):
        assert get(project / "shop.sock") == 200
        assert get(project / "shop.sock", "/fault") == 500
        assert get(project / "shop.sock", "/print") == 200
    running.send_signal(signal.SIGHUP)
    for _ in range(REQUESTS):
        assert get(project / "shop.sock", "/errors") == 200
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0


def test_workers_whose_logs_share_a_pipe_leave_each_others_lines_whole(start: Start, project: Path) -> None:
    running = start(
        *(*ROPEWALK, "-b", "127.0.0.1:0", "-w", "2", "--error-log-format", "json"),
        *("--access-logfile", "-", "--access-logformat", "json", "shop"),
    )
    running.wait_line('"message":"Ready: 2 workers"')
    port = int(running.wait_line(LISTENING_JSON)[1])
    long = "/fault?" + "x" * 6000  # more than a pipe takes in one piece
    for _ in range(REQUESTS):
        assert get(port, long) == 500
        assert get(port, "/") == 200
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    found = messages(running.output)
    assert sum(each.get("target") == long for each in found) == REQUESTS
    assert sum(each.get("exception", "").startswith("ValueError") for each in found) == REQUESTS


LINGERING = (
    """\
import threading
threading.Thread(target=threading.Event().wait).start()
print("what nobody will read")
"""
    + APPLICATION
)


def test_a_worker_that_cannot_write_out_what_was_printed_ends_as_a_worker(start: Start, project: Path) -> None:
    (project / "shop.py").write_text(LINGERING)
    running = start(
        *(sys.executable, "-c", WITHOUT_READERS, "1", *ROPEWALK, "-b", "unix:shop.sock", "--pid", "server.pid", "shop")
    )
    running.wait_line("Ready: 1 worker")
    running.send_signal(signal.SIGHUP)
    running.wait_line("Reloaded: 1 worker")
    running.wait_line("Worker exiting")
    running.send_signal(signal.SIGHUP)
    running.wait_lines("Reloaded: 1 worker", 2)
    assert get(project / "shop.sock") == 200
    assert (project / "server.pid").exists()
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert not re.search("Traceback|exited with|killing it", running.output)
