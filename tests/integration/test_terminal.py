"""The same server on a terminal, where a person reads it, and in a pipe, where a program does."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import wait_until
from tests.helpers.terminals import CTRL_C, OnTerminal

APPLICATION = """\
import ctypes, os, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/wait":
        os.write(2, b"waiting\\n")
        time.sleep(60)
    if path == "/stuck":
        os.write(2, b"waiting\\n")
        ctypes.PyDLL(None).sleep(60)  # holds the GIL
    if path == "/raises":
        raise ValueError("wrong")
    start_response("404 Not Found" if path == "/missing" else "200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""

COMMAND = (sys.executable, "-m", "ropewalk", "-b", "127.0.0.1:0")

NEVER_KILLS = """\
import sys
from ropewalk.cli.main import main
from ropewalk.process.master import worker_handle

worker_handle.KILL_MARGIN_SECONDS = 10.0**6
sys.exit(main())
"""

MACHINE_LINE = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] \[[A-Z]+\] .*"
PERSONS_LINE = r"\d\d:\d\d:\d\d (\w+: .*|Ready: 1 worker|\d{3} +[\d.]+ m?s +[\d.]+ k?B  [A-Z]+ /.*)"

Terminal = Callable[..., OnTerminal]


@pytest.fixture
def on_terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Starts a program on a terminal, with `TERM` and the variables given, in a folder that has the application."""
    started: list[OnTerminal] = []
    (tmp_path / "shop.py").write_text(APPLICATION)

    def start(*command: str, **variables: str) -> OnTerminal:
        env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
        program = OnTerminal(command, cwd=tmp_path, env={**env, "TERM": "xterm-256color", **variables})
        started.append(program)
        return program

    yield start
    for program in started:
        program.close()


def get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def port_of(program: OnTerminal) -> int:
    program.wait_text("Ready: ")
    return int(program.wait_text(r"URL +http://127\.0\.0\.1:(\d+)\n")[1])


def open_request(port: int, path: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return sock


def test_on_a_terminal_a_person_reads_what_is_served_and_each_request(on_terminal: Terminal) -> None:
    program = on_terminal(*COMMAND, "shop:app")
    port = port_of(program)
    assert [get(port, path) for path in ("/", "/missing", "/raises")] == [200, 404, 500]
    program.wait_text(r" 200 .* GET /\n")
    program.wait_text(r" 404 .* GET /missing\n")
    program.wait_text(r" 500 .* GET /raises\n")
    program.press(CTRL_C)
    assert program.wait_exit() == 0
    start, _, rest = program.text.partition("Ctrl-C stops it.\n")
    assert re.search(r"  Application  shop:app\n  Processes    1, with up to 16 threads\n  Mode  ", start)
    assert "error: GET '/raises': the application raised ValueError\nTraceback (most" in rest
    trace = rest[rest.index("Traceback") : rest.index("ValueError: wrong\n")]
    lines = rest.replace(trace, "").splitlines()
    odd = [line for line in lines if not re.fullmatch(PERSONS_LINE, line)]
    assert odd == ["ValueError: wrong", "^C", "Stopped"]
    assert "\x1b[38;5;" in program.output


@pytest.mark.parametrize(
    ("application", "said"),
    [
        ("nope:app", "no module named 'nope'"),
        ("shop.py", "the module must be named without .py"),
        ("shop:nope", "module 'shop' has no attribute 'nope'"),
    ],
)
def test_application_that_is_not_there_is_one_line(on_terminal: Terminal, application: str, said: str) -> None:
    program = on_terminal(*COMMAND, application)
    assert program.wait_exit() in (2, 3)
    assert re.fullmatch(rf"ropewalk: [^\n]*{re.escape(said)}[^\n]*\n", program.text)


def test_in_development_an_application_that_is_mended_has_its_url_first(on_terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def app(:\n")
    program = on_terminal(*COMMAND, "--reload", "--debug", "broken:app")
    program.wait_text("Waiting for a file to change")
    (tmp_path / "broken.py").write_text("from shop import app\n")
    program.wait_text("Ready: 1 worker")
    (tmp_path / "broken.py").write_text("from shop import app  # again\n")
    program.wait_text("Ready: 1 worker(.|\n)*Ready: 1 worker")
    program.press(CTRL_C)
    assert program.wait_exit() == 0
    once = ("URL  ", "Mode         development: changed code is reloaded", "--debug is on: ")
    assert [program.text.count(each) for each in once] == [1, 1, 1]


def test_in_a_pipe_there_are_the_lines_for_programs_and_no_others(start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION)
    running = start(*COMMAND, "shop:app", env={"TERM": "xterm-256color", "FORCE_COLOR": "1"})
    port = int(running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+) \(\d+\)\n")[1])
    running.wait_line("Ready: 1 worker")
    assert [get(port, path) for path in ("/", "/missing")] == [200, 404]
    running.send_signal(signal.SIGINT)
    assert running.wait_exit() == 0
    lines = running.output.splitlines()
    assert [line for line in lines if not re.fullmatch(MACHINE_LINE, line)] == []
    said = [re.sub(r"\d+", "N", line.partition("] ")[2].partition("] ")[2].partition("] ")[2]) for line in lines]
    assert said == [
        "Starting ropewalk N.N.N",
        "Listening at: http://N.N.N.N:N (N)",
        "Workers: N, with up to N threads each",
        "Booting worker with pid: N",
        "Ready: N worker",
        "Handling signal: int",
        "Worker exiting (pid: N)",
        "Shutting down: Master",
    ]


def test_with_no_color_a_terminal_gets_the_same_text(on_terminal: Terminal) -> None:
    program = on_terminal(*COMMAND, "shop:app", NO_COLOR="1")
    assert get(port_of(program), "/missing") == 404
    program.wait_text(r" 404 .* GET /missing\n")
    assert "\x1b" not in program.output


def test_formats_that_are_given_are_those_of_a_pipe(on_terminal: Terminal) -> None:
    given = ("--error-log-format", "plain", "--access-logformat", "%(s)s %(r)s")
    program = on_terminal(*COMMAND, *given, "shop:app")
    port = int(program.wait_text(r"Listening at: http://127\.0\.0\.1:(\d+) ")[1])
    program.wait_text("Ready: ")
    get(port, "/missing")
    program.wait_text(r"\n404 GET /missing HTTP/1\.1\n")
    program.press(CTRL_C)
    program.wait_exit()
    odd = [line for line in program.output.splitlines() if not re.fullmatch(f"(\\^C)?{MACHINE_LINE}", line)]
    assert odd == ["404 GET /missing HTTP/1.1"]


@pytest.mark.parametrize("path", ["/", "/wait"])
def test_ctrl_c_ends_a_server_with_connections_that_are_kept_and_requests_that_run(
    on_terminal: Terminal, path: str
) -> None:
    # Both would last for a minute; the test only waits for 20 s.
    program = on_terminal(*COMMAND, "shop:app")
    with open_request(port_of(program), path) as sock:
        if path == "/":
            assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")
        else:
            program.wait_text("waiting")
        program.press(CTRL_C)
        assert program.wait_exit() == 0
        assert sock.recv(1000) == b""
    assert program.text.endswith("\nStopped\n")


def test_second_ctrl_c_ends_what_does_not_end_by_itself(on_terminal: Terminal) -> None:
    program = on_terminal(sys.executable, "-c", NEVER_KILLS, *COMMAND[3:], "shop:app")
    with open_request(port_of(program), "/stuck"):
        program.wait_text("waiting")

        def has_ended() -> bool:
            program.press(CTRL_C)
            return program.has_ended()

        # As often as a person presses it: what comes at once is the first Ctrl-C, and each discards what was written.
        wait_until(has_ended, "the end of the server", interval=0.3)
        assert program.wait_exit() == 0


def test_server_ends_with_its_terminal(on_terminal: Terminal) -> None:
    program = on_terminal(*COMMAND, "shop:app")
    port_of(program)
    program.hang_up()
    assert program.wait_exit() == 0


def test_hup_reloads_while_the_terminal_is_there(on_terminal: Terminal) -> None:
    program = on_terminal(*COMMAND, "shop:app")
    port = port_of(program)
    os.kill(program.pid, signal.SIGHUP)
    program.wait_text("Reloaded: 1 worker")
    assert get(port, "/") == 200


def test_hup_reloads_a_server_that_was_started_without_a_terminal(start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION)
    running = start(*COMMAND, "shop:app")
    running.wait_line("Ready: 1 worker")
    running.send_signal(signal.SIGHUP)
    running.wait_line("Reloaded: 1 worker")


def test_ctrl_c_before_the_server_serves_is_no_traceback(on_terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import os, time\nos.write(2, b'loading\\n')\ntime.sleep(60)\n")
    for option, status in (("--check-config", 130), ("--preload", 130), ("--threads=4", 0)):
        program = on_terminal(*COMMAND, option, "slow:app")
        program.wait_text("loading")
        program.press(CTRL_C)
        assert (option, program.wait_exit()) == (option, status)
        assert "Traceback" not in program.text


def test_ctrl_c_while_the_command_is_imported_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'ropewalk.process.master.master': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from ropewalk.__main__ import main\n"
        "sys.exit(main())\n"
    )
    ended = subprocess.run([sys.executable, tmp_path / "interrupted.py"], capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


def test_port_in_use_is_one_line_that_says_by_whom(on_terminal: Terminal) -> None:
    first = on_terminal(*COMMAND, "shop:app")
    port = port_of(first)
    second = on_terminal(*COMMAND[:3], "-b", f"127.0.0.1:{port}", "shop:app")
    assert second.wait_exit() == 2
    name = Path(f"/proc/{first.pid}/comm").read_text().strip()
    assert second.text == (
        f"ropewalk: --bind='127.0.0.1:{port}': already in use by {name} -m ropewalk (pid {first.pid})\n"
    )
