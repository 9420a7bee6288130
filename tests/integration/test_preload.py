"""--preload: the application loaded once, in the master."""

from __future__ import annotations

import http.client
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

APPLICATION = """\
import os

LOADED_IN = os.getpid()

def application(environ, start_response):
    body = f"{{LOADED_IN}} {{os.getpid()}} {version}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

# No byte code: two sources of one length within a second would share it.
COMMAND = (sys.executable, "-B", "-W", "error", "-m", "ropewalk", "-b", "127.0.0.1:0", "--preload")
LISTENING = r"Listening at: http://127\.0\.0\.1:(\d+) "

Start = Callable[..., Any]


def write(project: Path, version: str) -> None:
    (project / "shop.py").write_text(APPLICATION.format(version=version))


def get(running: Any) -> list[str]:
    """The process that loaded the application, the one that answered, and the version of the code."""
    connection = http.client.HTTPConnection("127.0.0.1", int(running.wait_line(LISTENING)[1]), timeout=20)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode().split()
    finally:
        connection.close()


def test_the_master_loads_the_application_for_all_workers(
    start: Start, tmp_path: Path, wait_for_end: Callable[[int], bool]
) -> None:
    write(tmp_path, "one")
    running = start(*COMMAND, "shop")
    running.wait_line("Ready: 1 worker")
    loaded_in, first, _ = get(running)
    assert loaded_in == str(running.pid) != first
    os.kill(int(first), signal.SIGKILL)
    assert wait_for_end(int(first))
    loaded_in, second, _ = get(running)
    assert loaded_in == str(running.pid) not in (first, second)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import gone_and_lost", "No module named 'gone_and_lost'"),
        ("raise SystemExit('no database')", "no database"),
        ("application = 1", "is not callable|cannot be called|callable"),
    ],
)
def test_an_application_that_cannot_be_loaded_ends_the_start(
    start: Start, tmp_path: Path, code: str, reason: str
) -> None:
    (tmp_path / "shop.py").write_text(code + "\n")
    running = start(*COMMAND, "shop")
    assert running.wait_exit() == 3
    running.wait_line(f"ropewalk: .*({reason})")
    assert "Booting worker" not in running.output
    assert "Listening at" not in running.output.partition("Traceback")[2]


def test_a_reload_keeps_the_code_and_says_so_and_an_upgrade_loads_it_again(
    start: Start, tmp_path: Path, wait_for_end: Callable[[int], bool]
) -> None:
    write(tmp_path, "one")
    running = start(*COMMAND, "shop")
    running.wait_line("Ready: 1 worker")
    before = get(running)
    write(tmp_path, "two")
    running.send_signal(signal.SIGHUP)
    running.wait_line("--preload: a reload keeps the code of the application; USR2 loads it again")
    running.wait_line("Reloaded: 1 worker")
    assert wait_for_end(int(before[1]))
    assert get(running)[2] == "one"
    running.send_signal(signal.SIGUSR2)
    new = int(running.wait_line(r"The new master \(pid: (\d+)\) is ready")[1])
    running.send_signal(signal.SIGTERM)
    running.wait_line("this one has taken over")
    assert get(running)[::2] == [str(new), "two"]
    os.kill(new, signal.SIGTERM)
    assert wait_for_end(new)


def test_threads_that_no_worker_will_have_are_reported(start: Start, tmp_path: Path) -> None:
    write(tmp_path, "one")
    with (tmp_path / "shop.py").open("a") as file:
        file.write("import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n")
    command = [argument for argument in COMMAND if argument not in ("-W", "error")]  # Python 3.12 warns of the fork
    running = start(*command, "shop")
    running.wait_line("--preload: the application started threads that the workers will not have: 1")
    running.wait_line("Ready: 1 worker")


def test_preload_is_set_by_a_variable_or_a_gunicorn_file(start: Start, tmp_path: Path) -> None:
    write(tmp_path, "one")
    (tmp_path / "conf.py").write_text("preload_app = True\n")
    for arguments, env in ((["-c", "conf.py"], {}), ([], {"ROPEWALK_PRELOAD": "1"})):
        running = start(*COMMAND[:-1], *arguments, "shop", env=env)
        running.wait_line("Ready: 1 worker")
        assert int(get(running)[0]) == running.pid
