"""The same programs on werkzeug.serving.run_simple and on ropewalk.run_simple, each in a process of its own."""

from __future__ import annotations

import http.client
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.http_client import GET, Client
from tests.helpers.processes import Running, Starter, wait_until

MODULES = ["werkzeug.serving", "ropewalk"]
BOTH = pytest.mark.parametrize("module", MODULES)

PROGRAM = """
import sys
from importlib import import_module

def application(environ, start_response):
    if environ["PATH_INFO"] == "/error":
        raise LookupError("shop")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]

if __name__ == "__main__":
    run_simple = import_module(sys.argv[1]).run_simple
    run_simple(application=application, **{"hostname": "127.0.0.1", "port": 0, **eval(sys.argv[2])})
"""

OWN_LINES = {
    "werkzeug.serving": "WARNING: This is a development server. Do not use it in a production deployment. "
    "Use a production WSGI server instead.",
    "ropewalk": "This is for development. In production, serve with the command ropewalk.",
}

INTERRUPTED_FORK = """
import os, signal

def interrupt():
    os.write(2, b"forking\\n")
    os.kill(os.getpid(), signal.SIGINT)

os.register_at_fork({0}=interrupt)
"""

Run = Callable[..., Running]


@pytest.fixture
def run(start: Starter, tmp_path: Path) -> Run:
    """Starts the program on a module, with options of run_simple."""
    (tmp_path / "site.py").write_text(PROGRAM)

    def run(module: str, env: dict[str, str] | None = None, **options: object) -> Running:
        return start(sys.executable, "site.py", module, repr(options), env={"WERKZEUG_RUN_MAIN": "", **(env or {})})

    return run


def url_of(running: Running) -> str:
    return running.wait_line(r"Running on (\S+)")[1].strip("\x1b[0m")


def fetch(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def lines(output: str) -> list[str]:
    """Without colours, times, ports and what is different each time."""
    output = re.sub(r"\x1b\[\d+m", "", output)
    output = re.sub(r"\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\]", "[TIME]", output)
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", "PORT", output).splitlines()


@BOTH
@pytest.mark.parametrize("options", [{}, {"threaded": True}, {"processes": 2}], ids=["one", "threads", "processes"])
def test_lines_and_end_are_the_same(module: str, options: dict[str, object], run: Run) -> None:
    running = run(module, **options)
    url = url_of(running)
    running.wait_line("Press CTRL")
    assert fetch(url) == (200, b"hello")
    running.wait_line("GET /")
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    assert running.wait_exit() == 0
    assert lines(running.output) == [
        OWN_LINES[module],
        " * Running on http://127.0.0.1:PORT",
        "Press CTRL+C to quit",
        '127.0.0.1 - - [TIME] "GET / HTTP/1.1" 200 -',
    ]


@BOTH
def test_signal_to_end_ends_it(module: str, run: Run) -> None:
    running = run(module)
    url_of(running)
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == -signal.SIGTERM


@BOTH
def test_colours_are_for_a_terminal(module: str, run: Run) -> None:
    """Werkzeug colours what goes to a file as well."""
    running = run(module)
    assert fetch(url_of(running) + "/error")[0] == 500
    running.wait_line("GET /error")
    assert ("\x1b" in running.output) == (module == "werkzeug.serving")


@BOTH
@pytest.mark.parametrize("evaluates", [True, False])
def test_debugger_shows_the_exception(module: str, evaluates: bool, run: Run) -> None:
    url = url_of(run(module, use_debugger=True, use_evalex=evaluates, threaded=True))
    status, page = fetch(f"{url}/error")
    assert status == 500
    assert b"LookupError: shop" in page
    assert b"// Werkzeug Debugger" in page
    assert b"EVALEX = %s" % str(evaluates).lower().encode() in page
    assert fetch(f"{url}/?__debugger__=yes&cmd=resource&f=style.css")[0] == 200
    assert (b"Interactive Console" in fetch(f"{url}/console")[1]) == evaluates


def test_page_shows_the_exception_without_werkzeug(start: Starter, tmp_path: Path) -> None:
    (tmp_path / "site.py").write_text(PROGRAM)
    script = """
import runpy, sys
sys.modules["werkzeug"] = None
sys.argv = ["site.py", "ropewalk", "{'use_debugger': True}"]
runpy.run_path("site.py", run_name="__main__")
"""
    running = start(sys.executable, "-c", script)
    running.wait_line(r"(?m)^ \* The debugger needs the package werkzeug; exceptions get a page without a console$")
    url = url_of(running)
    assert fetch(url) == (200, b"hello")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(f"{url}/error", headers={"Accept": "text/html"}), timeout=20)
    with caught.value as error:
        page = error.read()
    assert error.code == 500
    assert b"LookupError" in page
    assert b"start_response" in page  # of the application's frame
    through_proxy = urllib.request.Request(f"{url}/error", headers={"Accept": "text/html", "X-Forwarded-For": "::1"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(through_proxy, timeout=20)
    with caught.value as error:
        assert b"LookupError" not in error.read()


@BOTH
def test_passed_error_ends_the_program(module: str, run: Run) -> None:
    running = run(module, passthrough_errors=True)
    with ClientAt(url_of(running)) as client:
        client.send(b"GET /error HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"200" not in client.read_all()
    assert running.wait_exit() == 1
    assert "LookupError: shop" in lines(running.output)


class ClientAt(Client):
    """A client of the server at a URL."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        super().__init__((host, int(port)))

    def __enter__(self) -> ClientAt:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


@BOTH
def test_port_in_use_is_said_in_the_same_lines(module: str, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = run(module, port=port)
        assert running.wait_exit() == 1
    said = lines(running.output)
    assert said[:2] == [
        "Address already in use",
        (
            f"Port {port} is in use by another program. Either identify and stop that program, or start the server "
            "with a different port."
        ),
    ]
    assert bool(said[2:] and re.fullmatch(rf"It is in use by \S.* \(pid {os.getpid()}\)\.", said[2])) == (
        module == "ropewalk"
    )


@pytest.mark.parametrize(
    ("options", "last"),
    [
        (
            {"ssl_context": ("missing.pem", None)},
            "ssl_context='missing.pem': cannot be read: no such file or directory",
        ),
        ({"port": "80"}, "TypeError: port must be an integer"),
        (
            {"reloader_type": "polling"},
            "ValueError: reloader_type='polling': must be one of auto, stat, watchdog",
        ),
        ({"threaded": True, "processes": 2}, "ValueError: a server has threads or processes, not both"),
        (
            {"static_files": {"/static": "nowhere"}},
            "static_files='nowhere': is neither a folder nor a file",
        ),
    ],
)
def test_what_it_does_not_take_is_named(options: dict[str, object], last: str, run: Run) -> None:
    running = run("ropewalk", **options)
    assert running.wait_exit() == 1
    assert lines(running.output)[-1] == last


@BOTH
def test_socket_of_the_process_before_a_reload_is_used(module: str, start: Starter, tmp_path: Path) -> None:
    (tmp_path / "site.py").write_text(PROGRAM)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        process = subprocess.Popen(
            [sys.executable, "site.py", module, "{'port': 1}"],
            cwd=tmp_path,
            env={**os.environ, "WERKZEUG_RUN_MAIN": "true", "WERKZEUG_SERVER_FD": str(listener.fileno())},
            close_fds=False,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            client = Client(listener.getsockname())
            client.send(GET)
            assert client.read_all().endswith(b"hello")
            client.sock.close()
        finally:
            process.terminate()
            _, errors = process.communicate()
    assert "Running on" not in errors


def test_import_of_the_package_costs_nothing() -> None:
    script = "import sys, ropewalk; print([name for name in sys.modules if 'ropewalk.' in name or name == 'socket'])"
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert printed == "['ropewalk._version']\n"


def test_werkzeug_is_imported_for_its_debugger_alone() -> None:
    script = (
        "import sys, ropewalk, ropewalk.serving; ropewalk.run_simple;"
        "print([name for name in ('werkzeug', 'flask', 'cryptography', 'watchfiles') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert printed == "[]\n"


RELOADED = """
import os, sys, time
from importlib import import_module
from pathlib import Path

while Path("busy").exists():  # an import that takes its time
    time.sleep(0.01)

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"first %d %d" % (os.getppid(), os.getpid())]

if __name__ == "__main__":
    import_module(sys.argv[1]).run_simple("127.0.0.1", 0, application, use_reloader=True, **eval(sys.argv[2]))
"""


@BOTH
@pytest.mark.parametrize("threaded", [False, True], ids=["one", "threads"])
def test_socket_stays_open_over_a_reload(module: str, threaded: bool, start: Starter, tmp_path: Path) -> None:
    program = tmp_path / "site.py"
    program.write_text(RELOADED)
    options = repr({"threaded": threaded})
    running = start(sys.executable, "site.py", module, options, env={"WERKZEUG_RUN_MAIN": ""})
    url = url_of(running)
    _, first = fetch(url)
    (tmp_path / "busy").touch()
    program.write_text(RELOADED.replace("first", "second"))
    running.wait_line(r"(?m)^ \* Detected change in '\S+site\.py', reloading$")
    running.wait_lines(r"(?m)^ \* Restarting with (stat|watchfiles)$", 2)
    while True:
        client = ClientAt(url)  # is never refused
        client.send(GET)
        if not select.select([client.sock], [], [], 0.5)[0]:
            break  # it waits for the process to come
        client.read_all()
        client.sock.close()
    (tmp_path / "busy").unlink()
    second = client.read_all()
    client.sock.close()
    if module != "ropewalk" and not second:  # the process that ended had accepted it
        _, second = fetch(url)
    found = re.search(rb"second (\d+) (\d+)", second)
    assert found
    parent, child = found.groups()
    assert first.split()[1] == parent == str(running.pid).encode()
    assert first.split()[2] != child
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait_exit() == 0


@BOTH
def test_extra_files_are_watched_and_patterns_left_out(module: str, start: Starter, tmp_path: Path) -> None:
    (tmp_path / "site.py").write_text(RELOADED)
    (tmp_path / "helpers.py").touch()
    (tmp_path / "site.toml").touch()
    options = repr({"extra_files": ["site.toml"], "exclude_patterns": ["*helpers*"], "reloader_type": "stat"})
    running = start(sys.executable, "site.py", module, options, env={"WERKZEUG_RUN_MAIN": ""})
    _, first = fetch(url_of(running))
    (tmp_path / "helpers.py").write_text("changed = True")
    (tmp_path / "site.toml").write_text("changed = true")
    running.wait_line(r"Detected change in '\S+site\.toml', reloading")

    def has_another_process() -> bool:
        try:
            return fetch(url_of(running))[1].split()[2] != first.split()[2]
        except (ConnectionError, http.client.HTTPException):
            if module == "ropewalk":
                raise
            return False  # Werkzeug's process that ended had accepted it

    wait_until(has_another_process, "the reload")
    assert "helpers" not in running.output


@BOTH
def test_signal_to_end_ends_both_processes(module: str, start: Starter, tmp_path: Path) -> None:
    (tmp_path / "site.py").write_text(RELOADED)
    running = start(sys.executable, "site.py", module, "{}", env={"WERKZEUG_RUN_MAIN": ""})
    fetch(url_of(running))
    os.killpg(running.pid, signal.SIGTERM)  # as a container that stops: Werkzeug's parent passes nothing on
    assert running.wait_exit() == 0


def test_certificate_is_kept_over_a_reload(start: Starter, tmp_path: Path) -> None:
    program = tmp_path / "site.py"
    program.write_text(RELOADED)
    running = start(sys.executable, "site.py", "ropewalk", "{'ssl_context': 'adhoc'}", env={"WERKZEUG_RUN_MAIN": ""})
    host, port = running.wait_line(r"Running on https://([\d.]+):(\d+)").groups()
    before = ssl.get_server_certificate((host, int(port)), timeout=20)
    program.write_text(RELOADED.replace("first", "second"))
    running.wait_line("reloading")
    assert ssl.get_server_certificate((host, int(port)), timeout=20) == before


def test_request_that_runs_is_finished_before_a_reload(start: Starter, tmp_path: Path) -> None:
    program = tmp_path / "site.py"
    waits = "    Path('runs').touch()\n    while not Path('go').exists(): time.sleep(0.01)\n    start_response"
    slow = RELOADED.replace("    start_response", waits)
    program.write_text(slow)
    running = start(sys.executable, "site.py", "ropewalk", "{'threaded': True}", env={"WERKZEUG_RUN_MAIN": ""})
    client = ClientAt(url_of(running))
    client.send(GET)
    wait_until((tmp_path / "runs").exists, "the request")
    program.write_text(slow.replace("first", "second"))
    running.wait_line("reloading")
    (tmp_path / "go").touch()
    assert b"first" in client.read_all()
    client.sock.close()


@pytest.mark.parametrize("where", ["before", "after_in_parent"])
def test_ctrl_c_while_a_process_is_forked_ends_the_server(start: Starter, tmp_path: Path, where: str) -> None:
    """Python ignores what a function raises that runs at a fork."""
    (tmp_path / "site.py").write_text(INTERRUPTED_FORK.format(where) + PROGRAM)
    running = start(sys.executable, "site.py", "ropewalk", repr({"processes": 2}), env={"WERKZEUG_RUN_MAIN": ""})
    assert running.wait_exit() == 0
    assert "KeyboardInterrupt" not in running.output


def test_ctrl_c_ends_a_process_that_was_just_forked(start: Starter, tmp_path: Path) -> None:
    (tmp_path / "site.py").write_text(INTERRUPTED_FORK.format("after_in_child") + PROGRAM)
    running = start(sys.executable, "site.py", "ropewalk", repr({"processes": 2}), env={"WERKZEUG_RUN_MAIN": ""})
    running.wait_lines("forking", 4)  # others in their places
    running.send_signal(signal.SIGINT)
    assert running.wait_exit() == 0
    assert "KeyboardInterrupt" not in running.output


STUCK = RELOADED.replace("    start_response", "    Path('runs').touch()\n    time.sleep(1000)\n    start_response")
MODES = pytest.mark.parametrize(
    "options",
    [{}, {"threaded": True}, {"processes": 2}],
    ids=["one", "threads", "processes"],
)


@MODES
@pytest.mark.parametrize("reloads", [False, True])
def test_request_that_never_ends_does_not_keep_it_from_ending(
    options: dict[str, object], reloads: bool, start: Starter, tmp_path: Path
) -> None:
    (tmp_path / "site.py").write_text(STUCK.replace("use_reloader=True", f"use_reloader={reloads}"))
    running = start(sys.executable, "site.py", "ropewalk", repr(options), env={"WERKZEUG_RUN_MAIN": ""})
    with ClientAt(url_of(running)) as client:
        client.send(GET)
        wait_until((tmp_path / "runs").exists, "the request")
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait_exit() == 0
    assert "Traceback" not in running.output


@MODES
def test_request_that_never_ends_does_not_keep_it_from_reloading(
    options: dict[str, object], start: Starter, tmp_path: Path
) -> None:
    program = tmp_path / "site.py"
    program.write_text(STUCK)
    running = start(sys.executable, "site.py", "ropewalk", repr(options), env={"WERKZEUG_RUN_MAIN": ""})
    url = url_of(running)
    with ClientAt(url) as client:
        client.send(GET)
        wait_until((tmp_path / "runs").exists, "the request")
        program.write_text(RELOADED)
        running.wait_lines("Restarting with", 2)
        assert fetch(url)[1].startswith(b"first")
