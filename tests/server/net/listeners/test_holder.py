"""Who has an address, as Linux knows it: other processes, real ones, listen there."""

from __future__ import annotations

import os
import pwd
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropewalk.net.listeners import holder
from ropewalk.net.listeners.holder import holder_of_path, holder_of_port

LISTEN = """\
import os, socket, sys
family, address = getattr(socket, sys.argv[1]), eval(sys.argv[2])
sock = socket.socket(family)
if family == socket.AF_INET6:
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
sock.bind(address)
sock.listen()
end, parents = os.pipe()
if "fork" not in sys.argv or os.fork():
    end, _ = os.pipe()
else:
    os.close(parents)  # a worker, which has the socket too, as long as its master runs
port = sock.getsockname()[1] if family != socket.AF_UNIX else 0
os.write(1, f"port {port} {os.getpid()}\\n".encode())
os.read(end, 1)
"""

Start = Callable[..., Any]


@pytest.fixture
def listen(start: Start, tmp_path: Path) -> Callable[..., tuple[int, int]]:
    """Start a program that listens; returns its port and its process id."""
    (tmp_path / "listen.py").write_text(LISTEN)

    def listen(family: str, address: object, *options: str) -> tuple[int, int]:
        running = start(sys.executable, "listen.py", family, repr(address), *options)
        if "fork" in options:
            running.wait_lines(r"port \d+ \d+", 2)
        match = running.wait_line(r"port (\d+) \d+")
        return int(match[1]), running.pid

    return listen


@pytest.mark.parametrize(
    ("family", "address", "asked_family", "host"),
    [
        ("AF_INET", ("127.0.0.1", 0), socket.AF_INET, "127.0.0.1"),
        ("AF_INET", ("0.0.0.0", 0), socket.AF_INET, "127.0.0.1"),
        ("AF_INET", ("127.0.0.1", 0), socket.AF_INET, "0.0.0.0"),
        ("AF_INET6", ("::1", 0), socket.AF_INET6, "::1"),
        ("AF_INET6", ("::", 0), socket.AF_INET, "127.0.0.1"),  # it has IPv4 as well
    ],
)
def test_program_that_has_the_port_is_named(
    listen: Callable[..., tuple[int, int]], family: str, address: object, asked_family: int, host: str
) -> None:
    port, pid = listen(family, address)
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    assert holder_of_port(asked_family, host, port) == f"{name} listen.py (pid {pid})"


def test_program_at_another_address_of_the_port_is_not_meant(listen: Callable[..., tuple[int, int]]) -> None:
    port, _ = listen("AF_INET", ("127.0.0.2", 0))
    assert holder_of_port(socket.AF_INET, "127.0.0.1", port) == ""


def test_of_a_server_with_workers_the_master_is_named(listen: Callable[..., tuple[int, int]]) -> None:
    port, pid = listen("AF_INET", ("127.0.0.1", 0), "fork")
    assert holder_of_port(socket.AF_INET, "127.0.0.1", port).endswith(f" listen.py (pid {pid})")


def test_program_at_a_unix_socket_is_named(listen: Callable[..., tuple[int, int]], tmp_path: Path) -> None:
    path = str(tmp_path / "a socket")
    _, pid = listen("AF_UNIX", path)
    assert holder_of_path(path).endswith(f" listen.py (pid {pid})")
    assert holder_of_path(str(tmp_path / "another")) == ""


def test_own_socket_is_that_of_this_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        assert holder_of_port(socket.AF_INET, "127.0.0.1", sock.getsockname()[1]) == "this process"


def test_user_is_named_if_the_files_of_the_process_cannot_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def readlink(path: str) -> str:
        raise PermissionError(path)

    monkeypatch.setattr(os, "readlink", readlink)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        user = pwd.getpwuid(os.geteuid()).pw_name
        assert holder_of_port(socket.AF_INET, "127.0.0.1", sock.getsockname()[1]) == f"a process of {user}"


def test_nobody_is_named_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    assert holder_of_port(socket.AF_INET, "127.0.0.1", port) == ""


def test_name_of_a_process_is_short_and_printable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {"comm": "python3\n", "cmdline": "python3\0\x1b[2J" + "x" * 200 + "\0--secret=1\0"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(
        holder, "open", lambda path, **options: open(tmp_path / Path(path).name, **options), raising=False
    )
    shown = holder._command(1)
    assert shown.startswith("python3 ?[2Jxxx")
    assert (len(shown), "secret" in shown) == (holder.MAX_NAME, False)
