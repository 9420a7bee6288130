"""`ropewalk --reload` as its user has it: real edits, with the kernel's events and by comparing alone."""

from __future__ import annotations

import http.client
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import wait_until

LISTENING = r"Listening at: http://127\.0\.0\.1:(\d+) "

APPLICATION = """\
import os
from parts import answer
import late_user

def application(environ, start_response):
    if environ["PATH_INFO"] == "/late":
        import late
        content = late.TEXT
    elif environ["PATH_INFO"] == "/slow":
        os.write(2, b"slow begins\\n")
        import time
        time.sleep(1)
        content = answer.TEXT
    else:
        content = answer.TEXT
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Pid", str(os.getpid()))])
    return [content.encode()]
"""


class Server:
    def __init__(self, running: Any, folder: Path) -> None:
        self.running = running
        self.folder = folder
        self.port = int(running.wait_line(LISTENING)[1])
        running.wait_line("Ready: |Waiting for a file to change")

    def ask(self, path: str = "/", accept: str = "*/*") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers={"Accept": accept})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def edit(self, name: str, text: str, count: int = 1) -> None:
        """Write, and wait until the server has noticed for the `count`th time."""
        self.write(name, text)
        self.running.wait_lines(rf"Changed: .*{name}.*; restarting", count)

    def wait_for_answer(self, status: int, text: str, path: str = "/") -> None:
        """Until the old worker receives its signal, it still takes connections."""
        wait_until(lambda: self.ask(path) == (status, text), f"{text} at {path}")

    def break_answer(self, count: int = 1) -> str:
        """Have an error that is loaded for the `count`th change, and return its page."""
        self.edit("parts/answer.py", "TEXT = (\n", count)
        while (found := self.ask(accept="text/html"))[0] == 200:
            pass
        return found[1]

    def wait_as_page(self, generation: str) -> int:
        """The status of the response to a page that waits."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/", headers={"X-Ropewalk-Wait": generation})
            return connection.getresponse().status
        finally:
            connection.close()


def generation_of(page: str) -> str:
    found = re.search('data-generation="([^"]+)"', page)
    assert found is not None
    return found[1]


Serve = Callable[..., Server]


@pytest.fixture(params=["inotify", "poll"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def serve(start: Callable[..., Any], tmp_path: Path, engine: str) -> Serve:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/__init__.py").touch()
    (tmp_path / "parts/answer.py").write_text("TEXT = 'old'\n")
    (tmp_path / "late_user.py").touch()
    (tmp_path / "late.py").write_text("TEXT = 'late'\n")
    (tmp_path / "shop.py").write_text(APPLICATION)

    def serve(*arguments: str, application: str = "shop") -> Server:
        command = (sys.executable, "-m", "ropewalk", "--reload", "--reload-engine", engine, "-b", "127.0.0.1:0")
        return Server(start(*command, *arguments, application, cwd=tmp_path), tmp_path)

    return serve


def test_request_after_a_save_gets_the_new_code(serve: Serve) -> None:
    server = serve()
    assert server.ask() == (200, "old")
    for number in range(1, 5):  # of one length, some in one second
        server.edit("parts/answer.py", f"TEXT = 'new{number}'\n", number)
        server.wait_for_answer(200, f"new{number}")
    assert server.ask("/late") == (200, "late")


def test_module_that_is_imported_in_a_request_is_watched(serve: Serve) -> None:
    server = serve()
    assert server.ask("/late") == (200, "late")
    server.edit("late.py", "TEXT = 'later'\n")
    server.wait_for_answer(200, "later", "/late")


def test_syntax_error_is_shown_until_it_is_mended(serve: Serve) -> None:
    server = serve()
    server.edit("parts/answer.py", "TEXT = (\n")
    while (found := server.ask(accept="text/html"))[0] == 200:
        pass
    status, page = found
    assert status == 500
    assert "The application cannot be loaded" in page
    assert "SyntaxError" in page
    assert "parts/answer.py" in page
    assert server.ask()[1].startswith("MODULE:CALLABLE='shop': importing shop raised SyntaxError")
    server.running.wait_line(r"\[ERROR\] The application cannot be loaded: importing shop raised SyntaxError: .*")
    server.running.wait_line("Waiting for a file to change; until then every response says why\n")
    server.edit("parts/answer.py", "TEXT = 'mended'\n", 2)
    server.wait_for_answer(200, "mended")
    server.running.wait_lines("Ready: 1 worker\n", 2)  # before the error and after it; not for the page of the error
    assert len(re.findall("Ready: ", server.running.output)) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0\n", "ZeroDivisionError"),
        ("import sys; sys.exit(4)\n", "SystemExit: 4"),
        ("import os; os._exit(5)\n", "exited with status 5"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n", "SIGKILL"),
        ("from parts import missing\n", "cannot import name 'missing'"),
        ("def application(): pass\n", "does not take (environ, start_response)"),
    ],
)
def test_application_that_cannot_be_loaded_at_the_start_is_mended(
    serve: Serve, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "broken.py").write_text(text)
    server = serve(application="broken")
    assert "Ready: " not in server.running.output
    assert len(re.findall("The application cannot be loaded: ", server.running.output)) == 1
    status, page = server.ask()
    assert status == 500
    assert said in page
    server.edit("broken.py", "from shop import application\n")
    server.wait_for_answer(200, "old")


def test_missing_module_is_found_when_it_is_written(serve: Serve) -> None:
    server = serve()
    server.edit("shop.py", "import brand_new\n" + APPLICATION)
    while "No module named 'brand_new'" not in server.ask()[1]:
        pass
    server.edit("brand_new.py", "")
    server.wait_for_answer(200, "old")


def test_extra_files_templates_and_ignored_ones(serve: Serve) -> None:
    server = serve("--reload-extra-file", "conf/*.toml", "--reload-ignore", "late_user.py")
    server.ask()
    server.edit("templates/page.html", "<p>")
    server.running.wait_lines("Ready: ", 2)
    server.edit("conf/shop.toml", "a = 1")
    server.running.wait_lines("Ready: ", 3)
    server.write("late_user.py", "x = 1\n")
    server.edit("parts/answer.py", "TEXT = 'last'\n")
    server.wait_for_answer(200, "last")
    assert "late_user" not in server.running.output


def test_settings_are_read_again(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("script-name = '/one'\n")
    server = serve("-c", "settings.toml")
    assert server.ask("/one/") == (200, "old")
    server.edit("settings.toml", "script-name = '/two/three'\n")
    server.wait_for_answer(200, "old", "/two/three/")
    server.write("settings.toml", "no-such-setting = 1\n")
    server.running.wait_line("Not restarted: .*no-such-setting")
    assert server.ask("/two/three/") == (200, "old")


def test_request_that_runs_gets_its_response_and_a_new_one_the_new_code(serve: Serve) -> None:
    server = serve()
    answers: list[tuple[int, str]] = []
    thread = threading.Thread(target=lambda: answers.append(server.ask("/slow")))
    thread.start()
    server.running.wait_line("slow begins")
    server.edit("parts/answer.py", "TEXT = 'new'\n")
    server.wait_for_answer(200, "new")
    thread.join()
    assert answers == [(200, "old")]


def test_no_request_fails_while_files_change(serve: Serve) -> None:
    server = serve()
    stop = threading.Event()
    failures: list[BaseException] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                assert server.ask()[0] == 200
            except Exception as error:  # noqa: BLE001 - whatever it is
                failures.append(error)
                stop.set()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(1, 6):
        server.edit("parts/answer.py", f"TEXT = 'new{number}'\n", number)
        server.wait_for_answer(200, f"new{number}")
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    server.wait_for_answer(200, "new5")


def test_it_stops_with_an_error_page_open(serve: Serve) -> None:
    server = serve()
    generation = generation_of(server.break_answer())
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/", headers={"X-Ropewalk-Wait": generation})
    server.running.send_signal(signal.SIGINT)
    assert server.running.wait_exit() == 0
    connection.close()


def test_page_loads_itself_again_from_a_worker_with_the_new_code(serve: Serve) -> None:
    server = serve("--access-logfile", "-")
    page = server.break_answer()
    for number in range(1, 4):
        generation = generation_of(page)
        server.edit("parts/answer.py", f"TEXT = 'mended{number}'\n", 2 * number)
        wait_until(lambda shown=generation: server.wait_as_page(shown) == 204, "the page to load itself again")
        # Not even one request more is for the worker that showed the error.
        assert server.ask() == (200, f"mended{number}")
        page = server.break_answer(2 * number + 1)
        assert generation_of(page) != generation
    assert "loaded" in page
    assert not re.search(r'" 20[45] ', server.running.output)  # the requests of pages have no line
    assert re.search(r'"GET / HTTP/1.1" 200 ', server.running.output)


def test_page_of_an_old_worker_is_not_left_waiting(serve: Serve) -> None:
    server = serve()
    assert server.wait_as_page("of another server") == 204
    generation = generation_of(server.break_answer())
    server.edit("parts/answer.py", "TEXT = 'mended'\n", 2)
    server.wait_for_answer(200, "mended")
    # Its first request comes only now; the application, which works and has no page, does not see it.
    assert server.wait_as_page(generation) == 204
