"""Processes that an application forks: each request gets one response, and signals and sockets stay the server's."""

from __future__ import annotations

import http.client
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import wait_end, wait_until

APPLICATION = """\
import multiprocessing, os, signal, sys, threading, time

if os.path.exists("fork-at-import"):
    if not os.fork():
        while not os.path.exists("go"):
            time.sleep(0.01)
        os._exit(0)

def child(end):
    os.write(2, b"child %d\\n" % os.getpid())
    if end == "wait":
        while True:
            time.sleep(0.01)

def application(environ, start_response):
    end = environ["PATH_INFO"][1:]
    if end == "multiprocessing":
        process = multiprocessing.get_context("fork").Process(target=child, args=("wait",))
        process.start()
    elif end == "stream":  # by another thread, which may hold a lock while this one forks
        write, is_over = start_response("200 OK", []), []
        def stream():
            while not is_over:
                write(bytes(60000))
        thread = threading.Thread(target=stream)
        thread.start()
        time.sleep(0.01)
        if not os.fork():
            child(end)
            return [b"never sent"]
        is_over.append(None)
        thread.join()
        return [b"%6d" % os.getpid()]
    elif end == "gone":  # the same, when the client is gone and its connection closed
        sys.setswitchinterval(1e-6)
        write, is_over, is_gone = start_response("200 OK", []), [], []
        def stream():
            while not is_over:
                try:
                    write(bytes(60000))
                except Exception:
                    is_gone.append(None)
        threads = [threading.Thread(target=stream) for _ in range(2)]
        for thread in threads:
            thread.start()
        while not is_gone:
            time.sleep(0.01)
        for _ in range(10):
            if not os.fork():
                child(end)
                write(b"never sent")
        is_over.append(None)
        for thread in threads:
            thread.join()
        return []
    elif end and not os.fork():
        if end == "double" and os.fork():
            os._exit(0)
        child(end)
        if end == "exit":
            sys.exit(7)
        if end == "raise":
            raise RuntimeError("in the child")
        if end == "thread":
            threading.Thread(target=time.sleep, args=(0.01,)).start()
    start_response("200 OK", [("Content-Length", "6")])
    return [b"%6d" % os.getpid()]
"""

COMMAND = (sys.executable, "-m", "ropewalk", "--threads", "4")
LISTENING = r"Listening at: http://127\.0\.0\.1:(\d+) "

Start = Callable[..., Any]


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=20)


def get(connection: http.client.HTTPConnection, path: str) -> int:
    """The process that responds."""
    connection.request("GET", path)
    return int(connection.getresponse().read())


@pytest.fixture
def serve(start: Start, tmp_path: Path) -> Callable[..., tuple[Any, int]]:
    def serve(*arguments: str) -> tuple[Any, int]:
        (tmp_path / "shop.py").write_text(APPLICATION)
        running = start(*COMMAND, "-b", "127.0.0.1:0", *arguments, "shop")
        running.wait_line("Ready: 1 worker")
        return running, int(running.wait_line(LISTENING)[1])

    return serve


@pytest.mark.parametrize("end", ["exit", "raise", "return", "thread", "double"])
def test_a_child_that_comes_back_from_the_application_ends(serve: Callable[..., tuple[Any, int]], end: str) -> None:
    running, port = serve()
    connection = connect(port)
    worker = get(connection, "/")
    for number in range(1, 4):
        assert get(connection, f"/{end}") == worker
        child = int(running.wait_lines(r"child (\d+)", number)[-1][1])
        assert wait_end(child)
        assert get(connection, "/") == worker  # what the child had sent would be read here
    connection.close()
    assert ("in the child" in running.output) == (end == "raise")
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0


def test_a_child_ends_although_another_thread_streamed(serve: Callable[..., tuple[Any, int]]) -> None:
    running, port = serve()
    connection = connect(port)
    for number in range(1, 11):
        connection.request("GET", "/stream")
        assert b"never sent" not in connection.getresponse().read()
        child = int(running.wait_lines(r"child (\d+)", number)[-1][1])
        assert wait_end(child)
    connection.close()
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0


def test_a_child_ends_although_another_thread_wrote_to_a_client_that_is_gone(
    serve: Callable[..., tuple[Any, int]],
) -> None:
    running, port = serve()
    connection = connect(port)
    connection.request("GET", "/gone")
    connection.getresponse().read(1000)
    connection.close()
    for match in running.wait_lines(r"child (\d+)", 10):
        assert wait_end(int(match[1]))
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0


@pytest.mark.parametrize("end", ["wait", "multiprocessing"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_a_child_is_the_childs(
    serve: Callable[..., tuple[Any, int]], end: str, number: signal.Signals
) -> None:
    running, port = serve()
    connection = connect(port)
    worker = get(connection, "/")
    assert get(connection, f"/{end}") == worker
    child = int(running.wait_line(r"child (\d+)")[1])

    def has_ended() -> bool:
        """Sent again: Python 3.13 and 3.14 lose one to a child of another thread than the first, while it computes."""
        with suppress(ProcessLookupError):
            os.kill(child, number)
        return wait_end(child, 0.2)

    wait_until(has_ended, "the end of the child")
    assert get(connection, "/") == worker
    assert "Worker exiting" not in running.output
    connection.close()


def server_sockets(pid: int) -> list[str]:
    """The sockets of a process, and its epolls and pipes: what a server has and its child must not."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if int(entry.name) > 2 and target.startswith(("socket:", "anon_inode:[event", "pipe:")):
            found.append(target)
    return found


def test_a_child_keeps_no_descriptor_of_the_server(serve: Callable[..., tuple[Any, int]]) -> None:
    running, port = serve()
    connection = connect(port)
    get(connection, "/wait")
    child = int(running.wait_line(r"child (\d+)")[1])
    assert server_sockets(child) == []
    os.kill(child, signal.SIGKILL)
    connection.close()


def test_a_connection_ends_although_a_child_lives(serve: Callable[..., tuple[Any, int]]) -> None:
    running, port = serve()
    connection = connect(port)
    get(connection, "/wait")
    child = int(running.wait_line(r"child (\d+)")[1])
    connection.request("GET", "/", headers={"Connection": "close"})
    response = connection.getresponse()
    response.read()
    assert connection.sock is None  # the client has read the end
    os.kill(child, signal.SIGKILL)


def test_a_port_is_free_although_a_child_that_was_forked_at_import_lives(
    serve: Callable[..., tuple[Any, int]], tmp_path: Path
) -> None:
    (tmp_path / "fork-at-import").touch()
    running, port = serve()
    running.send_signal(signal.SIGTERM)
    assert running.process.wait(20) == 0
    with pytest.raises(ConnectionRefusedError):
        get(connect(port), "/")
    (tmp_path / "go").touch()


def test_an_embedded_server_gives_its_sockets_up_in_a_child(start: Start, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        """\
import os, socket, sys, time, urllib.request
import ropewalk

def application(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]

with ropewalk.Server(application, bind="127.0.0.1:0") as server:
    urllib.request.urlopen(server.url).read()
    child = os.fork()
    if not child:
        with ropewalk.Server(application, bind="127.0.0.1:0") as own:  # a child may serve, too
            assert urllib.request.urlopen(own.url).read() == b"ok"
        os.write(1, b"child served\\n")
        time.sleep(60)
        os._exit(0)
    assert urllib.request.urlopen(server.url).read() == b"ok"
    address = server.address
try:
    socket.create_connection(address)
except ConnectionRefusedError:
    os.write(1, b"refused %d\\n" % child)
"""
    )
    running = start(sys.executable, str(tmp_path / "program.py"))
    running.wait_line("child served")
    child = int(running.wait_line(r"refused (\d+)")[1])
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{child}/exe").exists(), "the end of the child")


FORKING_HOOK = """\
import os, time

def pre_fork(server, worker):
    if os.path.exists("forked"):
        return
    pid = os.fork()
    if not pid:
        while True:
            time.sleep(0.01)
    with open("forked", "w") as file:
        file.write(str(pid))
"""


def test_what_a_hook_forks_in_the_master_gives_up_the_server(
    serve: Callable[..., tuple[Any, int]], tmp_path: Path
) -> None:
    """Otherwise TERM to it ended the server, and after the server it kept the port and the pid file."""
    (tmp_path / "hooks.py").write_text(FORKING_HOOK)
    running, port = serve("--config", "hooks.py", "--pid", "server.pid")
    child = int((tmp_path / "forked").read_text())
    try:
        links = [os.readlink(path) for path in Path(f"/proc/{child}/fd").iterdir() if int(path.name) > 2]
        assert not [link for link in links if link.startswith(("socket:", "pipe:")) or link.endswith(".pid")]
        os.kill(child, signal.SIGTERM)
        assert wait_end(child)
        connection = connect(port)
        get(connection, "/")
        connection.close()
        assert "Handling signal" not in running.output
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


PRELOADED = """\
import multiprocessing, time

process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
process.start()
with open("forked", "w") as file:
    file.write(str(process.pid))

"""


def test_a_process_of_a_preloaded_application_outlives_a_worker(start: Start, tmp_path: Path) -> None:
    """`multiprocessing` ends daemons in its exit function: those of the process that started them."""
    (tmp_path / "shop.py").write_text(PRELOADED + APPLICATION)
    running = start(*COMMAND, "-b", "127.0.0.1:0", "--preload", "shop")
    port = int(running.wait_line(LISTENING)[1])
    running.wait_line("Ready: 1 worker")
    child = int((tmp_path / "forked").read_text())
    connection = connect(port)
    worker = get(connection, "/")
    os.kill(worker, signal.SIGTERM)
    connection.close()
    running.wait_line(r"Worker exiting \(pid: \d+\)")
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the end of the worker")
    assert is_running(child)
    assert "Exception ignored" not in running.output
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
