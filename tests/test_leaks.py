"""The watch for leaks, watched: pytest itself is run on small tests that leak, and on some that only look so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY

HEADER = """
import os, socket, subprocess, sys, threading, time
import pytest
from tests.helpers import leaks
leaks.PATIENCE = {patience}
kept = []
"""


def run(directory: Path, text: str, *, patience: float, options: tuple[str, ...] = ()) -> dict[str, str]:
    """Run the tests in `text`; what became of each: `passed`, or what it left behind."""
    (directory / "test_inner.py").write_text(HEADER.format(patience=patience) + text)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rA",
            "-W",
            "error",
            "-p",
            "tests.helpers.leaks",
            "-p",
            "no:cacheprovider",
            *options,
            ".",
        ],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = dict(re.findall(r"^PASSED \S*::(\w+)()", done.stdout, re.MULTILINE))
    found |= dict(re.findall(r"^ERROR \S*::(\w+) - Failed: left behind: (.*)", done.stdout, re.MULTILINE))
    assert found, done.stdout + done.stderr
    return found


@pytest.mark.parametrize("options", [(), ("-n", "2", "--dist", "loadfile")], ids=["alone", "under xdist"])
def test_leak_fails_the_test_that_leaks_and_no_other(tmp_path: Path, options: tuple[str, ...]) -> None:
    found = run(
        tmp_path,
        """
def test_thread():
    thread = threading.Thread(target=threading.Event().wait, name="stray", daemon=True)
    thread.start()
def test_after_thread(): pass
def test_descriptor():
    kept.append(os.open("/dev/null", os.O_RDONLY))
def test_socket():
    kept.append(socket.create_server(("127.0.0.1", 0)))
def test_after_socket(): pass
def test_child():
    kept.append(subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]))
def test_after_child():
    kept[-1].kill()
    kept[-1].wait()
def test_child_that_ended():
    pid = os.fork()
    if not pid: os._exit(0)
def test_at_the_end(): pass
""",
        patience=0.3,
        options=options,
    )
    assert found.pop("test_thread") == "the thread stray"
    assert re.fullmatch(r"the descriptor \d+ \(/dev/null\)", found.pop("test_descriptor"))
    assert re.fullmatch(r"the descriptor \d+ \(socket:\[\d+\]\)", found.pop("test_socket"))
    assert re.fullmatch(r"the child process \d+ \(.*signal.pause\(\)\)", found.pop("test_child"))
    assert re.fullmatch(r"the child process \d+ \(ended, and was not .*\)", found.pop("test_child_that_ended"))
    assert set(found) == {"test_after_thread", "test_after_socket", "test_after_child", "test_at_the_end"}
    assert set(found.values()) == {""}


CYCLES = """
class Cycle:
    def __init__(self):
        self.me, self.socket = self, socket.create_server(("127.0.0.1", 0))
    def close(self):
        self.socket.close()
@pytest.fixture(scope="module", autouse={})
def server():
    with open("/dev/null") as file: yield file
def test_unclosed(): Cycle()
def test_after(): pass
def test_closed(): Cycle().close()
def test_at_the_end(): pass
"""


@pytest.mark.parametrize("held", [False, True], ids=["alone", "while a fixture of the module holds a descriptor"])
def test_unclosed_socket_of_a_cycle_fails_the_test_that_left_it(tmp_path: Path, held: bool) -> None:
    found = run(tmp_path, CYCLES.format(held), patience=0.3)
    assert re.fullmatch(r"ResourceWarning\(.unclosed <socket.socket .*", found.pop("test_unclosed"))
    assert found == dict.fromkeys(("test_after", "test_closed", "test_at_the_end"), "")


def test_what_ends_in_time_is_no_leak(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        """
def test_thread():
    threading.Thread(target=time.sleep, args=(0.1,)).start()
def test_descriptor_of_a_thread():
    def use():
        with open("/dev/null"): time.sleep(0.1)
    threading.Thread(target=use).start()
def test_child():
    child = subprocess.Popen([sys.executable, "-c", ""])
    threading.Thread(target=child.wait).start()
def test_fixture(closed_by_its_fixture): pass
@pytest.fixture
def closed_by_its_fixture():
    with open("/dev/null") as file: yield file
""",
        patience=30,
    )
    assert found == dict.fromkeys(("test_thread", "test_descriptor_of_a_thread", "test_child", "test_fixture"), "")


def test_fixture_of_a_module_may_hold_what_it_closes(tmp_path: Path) -> None:
    (tmp_path / "test_a_clean.py").write_text(
        """
import threading
import pytest
@pytest.fixture(scope="module")
def server():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    threads = [thread]
    yield stop, threads
    stop.set()
    for thread in threads: thread.join()
def test_before(): pass
def test_first(server): pass
def test_that_makes_it_grow(server):
    stop, threads = server
    threads.append(threading.Thread(target=stop.wait))
    threads[-1].start()
def test_last(): pass
"""
    )
    found = run(
        tmp_path,
        """
@pytest.fixture(scope="module")
def sloppy():
    kept.append(open("/dev/null"))
def test_one(sloppy): pass
def test_two(sloppy): pass
""",
        patience=0.3,
    )
    assert re.fullmatch(r"the descriptor \d+ \(/dev/null\)", found.pop("test_two"))
    names = ("test_before", "test_first", "test_that_makes_it_grow", "test_last", "test_one")
    assert found == dict.fromkeys(names, "")
