"""A deployment that switches the link `current` to a new release, as Capistrano's: each worker follows the link."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.paths import SERVER

APPLICATION = """\
import os, sys
import helper_of_shop

def application(environ, start_response):
    import late_part_of_shop
    parts = [os.path.basename(os.getcwd()), {version!r}, helper_of_shop.VERSION, late_part_of_shop.VERSION]
    parts += [open("version").read(), str(os.getpid()), str(os.getppid())]
    body = " ".join(parts).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""

ROPEWALK = (sys.executable, "-B", "-W", "error", "-m", "ropewalk", "-b", "127.0.0.1:0")
LISTENING = r"Listening at: http://127\.0\.0\.1:(\d+) "

Wait = Callable[..., None]


def release(project: Path, version: str) -> None:
    """Put a release beside the others, and switch the link to it."""
    folder = project / "releases" / version
    (folder / "library").mkdir(parents=True)
    (folder / "public").mkdir()
    (folder / "shop.py").write_text(APPLICATION.format(version=version))
    (folder / "late_part_of_shop.py").write_text(f"VERSION = {version!r}\n")
    (folder / "library" / "helper_of_shop.py").write_text(f"VERSION = {version!r}\n")
    (folder / "version").write_text(version)
    (folder / "public" / "page").write_text(version)
    (folder / "conf.py").write_text(f"import late_part_of_shop\nassert late_part_of_shop.VERSION == {version!r}\n")
    switch(project, version)


def switch(project: Path, version: str) -> None:
    (project / "new").symlink_to(f"releases/{version}")
    (project / "new").replace(project / "current")


def prune(project: Path, version: str) -> None:
    shutil.rmtree(project / "releases" / version)


class Server:
    def __init__(self, running: Any) -> None:
        self.running = running
        running.wait_line("Ready: ")
        self.port = int(running.wait_line(LISTENING)[1])

    def get(self, target: str = "/") -> list[str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            assert response.status == 200
            return response.read().decode().split()
        finally:
            connection.close()

    def versions(self) -> set[str]:
        """All that the answer shows of the release that it comes from."""
        return {*self.get()[:5], *self.get("/static/page")}

    def worker(self) -> int:
        return int(self.get()[5])


OPTIONS = ("--pythonpath", "library", "--static", "/static=public", "shop")


@pytest.fixture(params=["--chdir", "relative --chdir", "PWD"])
def serve(request: pytest.FixtureRequest, start: Callable[..., Any], tmp_path: Path) -> Callable[..., Server]:
    """Starts a server in the linked directory: entered by an option, or by the shell."""
    release(tmp_path, "one")
    current = tmp_path / "current"

    def serve(*arguments: str) -> Server:
        if request.param == "PWD":
            return Server(start(*ROPEWALK, *arguments, *OPTIONS, cwd=current, env={"PWD": str(current)}))
        chdir = "current" if request.param == "relative --chdir" else str(current)
        return Server(start(*ROPEWALK, "--chdir", chdir, *arguments, *OPTIONS))

    return serve


def test_each_worker_follows_the_link(serve: Callable[..., Server], tmp_path: Path, wait_for: Wait) -> None:
    server = serve("--config", str(tmp_path / "current" / "conf.py"))
    assert server.versions() == {"one"}
    release(tmp_path, "two")
    server.running.send_signal(signal.SIGHUP)
    server.running.wait_line("Reloaded: ")
    wait_for(lambda: server.versions() == {"two"}, "an answer of the new release")
    prune(tmp_path, "one")
    killed = server.worker()
    os.kill(killed, signal.SIGKILL)
    server.running.wait_lines("Ready: ", 2)
    assert server.versions() == {"two"}
    assert server.worker() != killed


def test_a_worker_starts_although_the_release_of_the_start_is_gone(
    serve: Callable[..., Server], tmp_path: Path
) -> None:  # without a reload
    server = serve()
    release(tmp_path, "two")
    killed = server.worker()
    prune(tmp_path, "one")
    os.kill(killed, signal.SIGKILL)
    server.running.wait_lines("Ready: ", 2)
    assert server.versions() == {"two"}


def test_a_link_that_is_missing_at_a_reload_keeps_the_old_workers(
    serve: Callable[..., Server], tmp_path: Path, wait_for: Wait
) -> None:
    server = serve()
    (tmp_path / "current").unlink()
    server.running.send_signal(signal.SIGHUP)
    server.running.wait_line("Reload failed; keeping the old workers: .*current': no such file or directory")
    assert server.versions() == {"one"}
    release(tmp_path, "two")
    server.running.send_signal(signal.SIGHUP)
    server.running.wait_line("Reloaded: ")
    wait_for(lambda: server.versions() == {"two"}, "an answer of the new release")


def test_an_upgrade_follows_the_link(
    serve: Callable[..., Server], tmp_path: Path, wait_for_end: Callable[[int], bool], wait_for: Wait
) -> None:
    server = serve()
    old = server.running.pid
    release(tmp_path, "two")
    prune(tmp_path, "one")
    os.kill(old, signal.SIGUSR2)
    new = int(server.running.wait_line(r"The new master \(pid: (\d+)\) is ready")[1])
    os.kill(old, signal.SIGTERM)
    assert wait_for_end(old)
    server.running.wait_line("this one has taken over")
    assert server.versions() == {"two"}
    release(tmp_path, "three")
    os.kill(new, signal.SIGHUP)
    server.running.wait_line("Reloaded: ")
    wait_for(lambda: server.versions() == {"three"}, "an answer of the newest release")
    os.kill(new, signal.SIGTERM)
    assert wait_for_end(new)


def test_a_preloaded_application_stays_in_its_release(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("--preload")
    release(tmp_path, "two")
    worker = server.worker()
    server.running.send_signal(signal.SIGHUP)
    server.running.wait_line("a reload keeps the code")
    server.running.wait_line(rf"Worker exiting \(pid: {worker}\)")
    assert server.versions() == {"one"}


def test_workers_of_a_preloaded_application_start_although_its_release_is_gone(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve("--preload")
    worker = server.worker()
    release(tmp_path, "two")
    prune(tmp_path, "one")
    os.kill(worker, signal.SIGKILL)
    server.running.wait_lines("Ready: ", 2)
    assert server.get("/static/page") == ["two"]


def test_an_error_log_in_the_release_follows_the_link(
    start: Callable[..., Any], tmp_path: Path, wait_for: Wait
) -> None:
    release(tmp_path, "one")
    running = start(*ROPEWALK, "--chdir", "current", "--pythonpath", "library", "--error-logfile", "log", "shop")
    wait_for((tmp_path / "releases" / "one" / "log").exists, "the log")
    log = tmp_path / "current" / "log"
    wait_for(lambda: "Ready: " in log.read_text(), "the start")
    release(tmp_path, "two")
    running.send_signal(signal.SIGHUP)
    wait_for(lambda: log.exists() and "Reloaded: " in log.read_text(), "the reload")


def test_an_upgrade_uses_the_interpreter_of_the_new_release(
    start: Callable[..., Any], tmp_path: Path, wait_for_end: Callable[[int], bool]
) -> None:
    for version in ("one", "two"):
        release(tmp_path, version)
        folder = tmp_path / "releases" / version
        (folder / "bin").mkdir()
        (folder / "bin" / "python").symlink_to(os.path.realpath(sys.executable))
        (folder / "pyvenv.cfg").write_text(f"home = {os.path.dirname(os.path.realpath(sys.executable))}\n")
    switch(tmp_path, "one")
    current = tmp_path / "current"
    env = {"PWD": str(current), "PYTHONPATH": str(SERVER)}
    command = ("sh", "-c", 'exec "$@"', "sh", "bin/python", *ROPEWALK[1:], *OPTIONS)
    server = Server(start(*command, cwd=current, env=env))
    switch(tmp_path, "two")
    prune(tmp_path, "one")
    server.running.send_signal(signal.SIGUSR2)
    new = int(server.running.wait_line(r"The new master \(pid: (\d+)\) is ready")[1])
    assert Path(f"/proc/{new}/cmdline").read_text().startswith(f"{current}/bin/python\0")
    server.running.send_signal(signal.SIGTERM)
    server.running.wait_line("this one has taken over")
    assert server.versions() == {"two"}
    os.kill(new, signal.SIGTERM)
    assert wait_for_end(new)
