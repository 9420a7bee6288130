"""`use = egg:ropewalk` in a PasteDeploy .ini file: Pyramid's `pserve` with the example of docs/development.md."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sysconfig
import urllib.request
import venv
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from flit_core import buildapi

from ropewalk.dev import paste
from tests.helpers.embedded import answering
from tests.helpers.paths import REPOSITORY, SERVER
from tests.helpers.ports import free_port
from tests.helpers.terminals import CTRL_C, OnTerminal
from tests.server.dev.test_examples import PAGE, PROGRAMS

[COMMAND] = re.findall("^    (.*pserve development.ini .*)$", PAGE, re.M)
"""As the page has it; its last word is `--reload`."""

PSERVE = """\
#!{python}
import sys
from pyramid.scripts.pserve import main
sys.exit(main())
"""
"""As pip writes it: the folder that it is called in is not on Python's path."""

LOGGING = """
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stdout,)
formatter = plain
[formatter_plain]
format = logged: %(name)s %(levelname)s %(message)s
"""


class Site:
    """The example, in a folder of its own, run as the page says in a virtual environment that has the server."""

    def __init__(self, folder: Path, start: Callable[..., Any]) -> None:
        self._start = start
        self._folder = folder / "site"
        self._folder.mkdir()
        programs = _environment_with_the_server(folder)
        self._environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": "",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
        }
        self.port = free_port()
        self.program = self._folder / "with_pyramid.py"
        self.program.write_text(PROGRAMS["with_pyramid.py"])
        self.configure(listen=f"127.0.0.1:{self.port}", threads="8")

    def configure(self, more: str = "", **section: str) -> None:
        """Write the file with these lines in the server's section."""
        head = re.sub(r"listen = .*\n|threads = .*\n", "", PROGRAMS["development.ini"])
        lines = "".join(f"{name} = {value}\n" for name, value in section.items())
        (self._folder / "development.ini").write_text(head + lines + more)

    def start(self, *options: str) -> Any:
        return self._start(*_command(*options), cwd=self._folder, env=self._environment)

    def start_on_terminal(self) -> OnTerminal:
        return OnTerminal(_command(), cwd=self._folder, env=os.environ | self._environment)

    def refused(self) -> tuple[int, str]:
        """Status and output of a start that fails."""
        ran = subprocess.run(
            _command(),
            cwd=self._folder,
            env=os.environ | self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        return ran.returncode, ran.stdout

    def says(self, name: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/hello/{name}", timeout=20) as response:
            return str(response.read().decode())


def _command(*options: str) -> list[str]:
    """The page's command with these options instead of its own."""
    return ["env", *shlex.split(COMMAND)[:-1], *options]


def _environment_with_the_server(folder: Path) -> Path:
    """Make a virtual environment in `folder`: this one, and the server. Returns the folder of its programs."""
    venv.create(folder / "venv", symlinks=True)
    metadata = folder / "metadata"
    metadata.mkdir()
    with chdir(REPOSITORY / "server"):
        buildapi.prepare_metadata_for_build_wheel(str(metadata))
    library = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    found = (SERVER, metadata, sysconfig.get_path("purelib"))
    (library / "found.pth").write_text("".join(f"import site; site.addsitedir('{each}')\n" for each in found))
    pserve = folder / "venv" / "bin" / "pserve"
    pserve.write_text(PSERVE.format(python=pserve.with_name("python")))
    pserve.chmod(0o755)
    return pserve.parent


@pytest.fixture
def site(tmp_path: Path, start: Callable[..., Any]) -> Site:
    return Site(tmp_path, start)


def test_it_serves_until_a_signal(site: Site) -> None:
    running = site.start()
    running.wait_line(f"Listening at: http://127.0.0.1:{site.port}")
    assert site.says("Ann") == "hello Ann"
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert "Traceback" not in running.output


def test_host_and_port_and_a_logger(site: Site) -> None:
    site.configure(LOGGING, host="127.0.0.1", port=str(site.port))
    running = site.start()
    running.wait_line(f"logged: ropewalk INFO Listening at: http://127.0.0.1:{site.port}")
    assert site.says("Bob") == "hello Bob"


def test_reload_serves_what_was_saved(site: Site, wait_for: Callable[[Callable[[], object], str], None]) -> None:
    running = site.start(*shlex.split(COMMAND)[-1:], "-v")
    running.wait_line(f"Listening at: http://127.0.0.1:{site.port}")
    assert site.says("Ann") == "hello Ann"
    site.program.write_text(site.program.read_text().replace("hello {", "good morning {"))

    def is_noticed() -> bool:
        """Its monitor takes the first time stamp that it sees for the one before the change."""
        site.program.touch()
        return "with_pyramid.py changed; reloading" in running.output

    wait_for(is_noticed, "the reload")
    running.wait_lines("Listening at:", 2)
    assert site.says("Ann") == "good morning Ann"
    assert f"exited with code -{signal.SIGTERM:d}" in running.output
    running.send_signal(signal.SIGINT)
    running.wait_exit()


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ({"thread": "8"}, "no such setting: thread; did you mean threads?"),
        ({"threads": "many"}, "threads='many': must be an integer from 1 to 4096"),
        ({"workers": "2"}, "workers='2': has no effect in an embedded server: "),
        ({"channel_timeout": "30"}, "no such setting: channel_timeout"),
        ({"bind": "127.0.0.1:0", "port": "80"}, "bind and port: one of bind, listen, or host and port"),
        ({"host": "127.0.0.1", "port": "eighty"}, "bind='127.0.0.1:eighty': "),
    ],
)
def test_what_is_wrong_with_the_section_is_one_line(site: Site, section: dict[str, str], line: str) -> None:
    site.configure(**section)
    status, output = site.refused()
    assert status == 1
    assert output.count("\n") == 1
    assert f"development.ini: in the server's section: {line}" in output


@pytest.mark.parametrize(
    ("section", "bind"),
    [
        ({}, "127.0.0.1:8080"),
        ({"port": "0"}, "127.0.0.1:0"),
        ({"host": "::1"}, "[::1]:8080"),
        ({"bind": "unix:/tmp/x"}, "unix:/tmp/x"),
        ({"listen": "*:6543 [::1]:6543"}, ["0.0.0.0:6543", "[::1]:6543"]),
    ],
)
def test_address(section: dict[str, str], bind: object) -> None:
    assert paste._settings(section)["bind"] == bind


def test_the_other_protocol_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr(paste, "serve_until_signal", served.append)
    application = answering()
    paste.server_runner(application, {}, listen="127.0.0.1:0")
    server = served[0]
    assert server.application is application
    server.stop()


def test_lines_on_a_terminal_are_those_of_the_command(site: Site) -> None:
    running = site.start_on_terminal()
    try:
        running.wait_text(rf"\d\d:\d\d:\d\d Listening at: http://127.0.0.1:{site.port}\n")
        assert site.says("Ann") == "hello Ann"
        running.wait_text(r"\d\d:\d\d:\d\d 200 +\d+\.\d ms +9 B +GET /hello/Ann\n")
        running.press(CTRL_C)
        running.wait_exit()
    finally:
        running.close()
