"""run_with_reloader: a program whose process is replaced at each change, with its socket kept open."""

import os
import queue
import signal
import subprocess
import sys
import termios
import threading
import urllib.request

import pytest

from ropewalk.dev.reloader import restore_echo

PROGRAM = """
import os, socket, sys
import ropewalk
from ropewalk.dev.reloader import is_child, run_with_reloader
import answer

if not is_child():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)
    os.environ["FD"] = str(listener.fileno())
    print(listener.getsockname()[1], flush=True)

def application(environ, start_response):
    start_response("200 OK", [])
    return [answer.TEXT]

if is_child():
    server = ropewalk.Server(application, bind="fd://" + os.environ["FD"])
    main, stop = server.start, server.stop
else:
    main = stop = None  # not called

run_with_reloader(main, stop, engine=sys.argv[1], extra_files=["more.toml"])
"""


@pytest.fixture(params=["inotify", "poll"])
def program(request, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "answer.py").write_text("TEXT = b'old'\n")
    command = [sys.executable, "program.py", request.param]
    with subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield process, tmp_path
        process.kill()


def fetch(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as response:
        return response.read()


def test_request_after_a_change_waits_for_the_new_process(program):
    process, folder = program
    lines = queue.Queue()
    port = int(process.stdout.readline())
    read = (line.rstrip() for line in process.stderr)
    thread = threading.Thread(target=lambda: [lines.put(line) for line in read if "Restarting with" not in line])
    thread.start()
    assert fetch(port) == b"old"
    (folder / "answer.py").write_text("TEXT = b'new'  # longer\n")
    assert lines.get(timeout=30) == f" * Detected change in '{folder}/answer.py', reloading"
    while fetch(port) == b"old":  # the process may still be about to end
        pass
    (folder / "more.toml").write_text("a = 1")
    assert lines.get(timeout=30) == f" * Detected change in '{folder}/more.toml', reloading"
    assert fetch(port) == b"new"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    thread.join()


def test_status_of_a_program_that_ends_is_passed_on(tmp_path):
    (tmp_path / "program.py").write_text(
        "import os, sys\nfrom ropewalk.dev.reloader import run_with_reloader\n"
        "if os.environ.get('WERKZEUG_RUN_MAIN'): sys.exit(7)\nrun_with_reloader(print)\n"
    )
    assert subprocess.run([sys.executable, "program.py"], cwd=tmp_path, timeout=60).returncode == 7


def test_terminal_shows_again_what_is_typed(monkeypatch):
    ours, theirs = os.openpty()
    with open(ours, "rb"), open(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        attributes = termios.tcgetattr(terminal)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(terminal, termios.TCSANOW, attributes)
        restore_echo()
        assert termios.tcgetattr(terminal)[3] & termios.ECHO
        restore_echo()
        assert termios.tcgetattr(terminal)[3] & termios.ECHO
