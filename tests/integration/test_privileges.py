"""Users, groups, modes and the umask, as root alone can try them; and what there is for everybody."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

APPLICATION = """\
import json, os

def application(environ, start_response):
    mask = os.umask(0)
    os.umask(mask)
    seen = {"uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(), "umask": mask, "pid": os.getpid()}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
"""

NOBODY, DAEMON = pwd.getpwnam("nobody"), grp.getgrnam("daemon").gr_gid

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start workers as somebody else")

Serve = Callable[..., Any]


@pytest.fixture
def project() -> Iterator[Path]:
    """A directory that everybody can read; pytest's are its user's alone."""
    directory = Path(tempfile.mkdtemp(prefix="ropewalk-test-"))
    directory.chmod(0o755)
    (directory / "shop.py").write_text(APPLICATION)
    (directory / "shop.py").chmod(0o644)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def serve(start: Callable[..., Any], project: Path) -> Serve:
    def serve(*arguments: str) -> Any:
        command = (sys.executable, "-W", "error", "-m", "ropewalk", "-b", "unix:shop.sock", *arguments, "shop")
        running = start(*command, cwd=project)
        running.wait_line("Ready: 1 worker")
        return running

    return serve


def ask(project: Path) -> Any:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(project / "shop.sock"))
        client.sendall(b"GET /asked HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return json.loads(client.makefile("rb").read().partition(b"\r\n\r\n")[2])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def owner(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid


@AS_ROOT
def test_workers_are_the_user_and_the_master_stays_root(serve: Serve, project: Path) -> None:
    running = serve("--user", "nobody", "--pid", "server.pid")
    seen = ask(project)
    assert seen["uid"] == [NOBODY.pw_uid] * 3
    assert seen["gid"] == [NOBODY.pw_gid] * 3
    assert set(seen["groups"]) == set(os.getgrouplist("nobody", NOBODY.pw_gid))
    assert Path(f"/proc/{running.pid}").stat().st_uid == 0
    assert owner(project / "server.pid") == (0, 0)
    assert (project / "server.pid").read_text() == f"{running.pid}\n"
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert sorted(path.name for path in project.iterdir() if path.suffix != "") == ["shop.py"]


@AS_ROOT
def test_a_unix_socket_is_the_workers_with_the_mode_that_was_asked_for(serve: Serve, project: Path) -> None:
    serve("--user", str(NOBODY.pw_uid), "--group", "daemon", "--unix-mode", "0660")
    assert owner(project / "shop.sock") == (NOBODY.pw_uid, DAEMON)
    assert mode(project / "shop.sock") == 0o660
    assert ask(project)["gid"] == [DAEMON] * 3


@AS_ROOT
@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/stderr"])
def test_a_log_may_be_a_pipe_that_only_root_could_open(serve: Serve, project: Path, path: str) -> None:
    running = serve("--user", "nobody", "--access-logfile", path, "--access-logformat", "asked for %(U)s")
    ask(project)
    running.wait_line("asked for /asked")


@AS_ROOT
def test_logs_are_the_workers_and_can_be_rotated(serve: Serve, project: Path) -> None:
    running = serve(
        *("--user", "nobody", "--access-logfile", "access.log", "--access-logformat", "%(U)s %(p)s"),
    )
    assert owner(project / "access.log") == (NOBODY.pw_uid, NOBODY.pw_gid)
    first = ask(project)["pid"]
    running.send_signal(signal.SIGHUP)
    running.wait_line("Reloaded: 1 worker")
    running.wait_line("Worker exiting")
    second = ask(project)["pid"]
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    lines = (project / "access.log").read_text().splitlines()
    assert lines == [f"/asked <{first}>", f"/asked <{second}>"]
    assert first != second


@pytest.mark.parametrize(
    ("arguments", "umask", "socket_mode"),
    [
        (("-m", "0"), 0o000, 0o666),
        (("-m", "007"), 0o007, 0o660),
        (("-m", "027", "--unix-mode", "0600"), 0o027, 0o600),
    ],
)
def test_the_umask_is_the_applications_and_the_sockets(
    serve: Serve, project: Path, arguments: tuple[str, ...], umask: int, socket_mode: int
) -> None:
    serve(*arguments, "--pid", "server.pid")
    assert ask(project)["umask"] == umask
    assert mode(project / "shop.sock") == socket_mode
    assert mode(project / "server.pid") == 0o644 & ~umask


def test_without_an_umask_the_one_of_the_start_stays(serve: Serve, project: Path) -> None:
    before = os.umask(0o026)
    try:
        serve()
    finally:
        os.umask(before)
    assert ask(project)["umask"] == 0o026
    assert mode(project / "shop.sock") == 0o666
