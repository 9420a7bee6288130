"""The hooks of a configuration file, at the whole server."""

from __future__ import annotations

import http.client
import os
import re
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.helpers.certificates import Certificates

APPLICATION = """\
import os, time

def application(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        while not os.path.exists("go"):
            time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]
"""

EVERY_HOOK = """\
import os

workers = 1

def say(*what):
    os.write(1, ("<" + " ".join(map(str, what)) + ">\\n").encode())

def nworkers_changed(server, new_value, old_value):
    say("nworkers_changed", new_value, old_value, server.num_workers)

def on_starting(server):
    server.mark = "kept"
    say("on_starting", server.pid == os.getpid(), server.cfg.workers, server.cfg.keepalive)

def when_ready(server):
    server.log.info("log of %s", "the server")
    say("when_ready", server.mark, len(server.WORKERS))

def pre_fork(server, worker):
    worker.number = worker.age * 10
    say("pre_fork", worker.age, worker.pid, len(server.WORKERS))

def post_fork(server, worker):
    say("post_fork", worker.number, worker.pid == os.getpid(), worker.ppid == server.pid, server.mark)

def post_worker_init(worker):
    worker.log.info("log of %s", "the worker")
    say("post_worker_init", worker.number, worker.booted)

def pre_request(worker, req):
    req.mark = "kept too"
    say("pre_request", worker.number, worker.booted, req.method, req.uri, req.path, req.query)

def post_request(worker, req, environ, resp):
    say("post_request", req.mark, environ["PATH_INFO"], resp.status, resp.status_code, resp.headers)

def worker_int(worker):
    say("worker_int", worker.number)

def worker_abort(worker):
    say("worker_abort", worker.number)

def worker_exit(server, worker):
    say("worker_exit", worker.number, worker.alive)

def child_exit(server, worker):
    say("child_exit", worker.number, worker.pid in server.WORKERS, worker.alive)

def on_reload(server):
    say("on_reload", server.cfg.workers)

def pre_exec(server):
    say("pre_exec", server.mark)

def on_exit(server):
    say("on_exit", server.mark, len(server.WORKERS))
"""

Start = Callable[..., Any]


def write(project: Path, configuration: str) -> None:
    (project / "shop.py").write_text(APPLICATION)
    (project / "conf.py").write_text(configuration)


def command(*arguments: str) -> tuple[str, ...]:
    return (
        *(sys.executable, "-B", "-W", "error", "-m", "ropewalk", "-b", "127.0.0.1:0"),
        *("-c", "conf.py", *arguments, "shop"),
    )


def get(running: Any, target: str = "/") -> tuple[int, bytes]:
    port = int(running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+) ")[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def said(running: Any) -> list[str]:
    return re.findall("^<(.*)>$", running.output, re.MULTILINE)


def test_each_hook_is_called_at_its_moment(start: Start, tmp_path: Path) -> None:
    write(tmp_path, EVERY_HOOK)
    running = start(*command())
    running.wait_line("Ready: ")
    assert get(running, "/a%20b?c=d") == (200, b"served")
    running.wait_line("<post_request")
    running.send_signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert said(running) == [
        "nworkers_changed 1 None 1",
        "on_starting True 1 75.0",
        "when_ready kept 0",
        "pre_fork 1 None 0",
        "post_fork 10 True True kept",
        "post_worker_init 10 False",
        "pre_request 10 True GET /a%20b?c=d /a%20b c=d",
        "post_request kept too /a b 200 OK 200 [('Content-Type', 'text/plain')]",
        "worker_exit 10 False",
        "child_exit 10 False False",
        "on_exit kept 0",
    ]
    assert running.output.index("Listening at") < running.output.index("<when_ready")
    assert "[INFO] log of the server" in running.output
    assert "[INFO] log of the worker" in running.output


def test_another_number_of_workers_and_a_quick_end(start: Start, tmp_path: Path) -> None:
    write(tmp_path, EVERY_HOOK)
    running = start(*command())
    running.wait_line("Ready: 1 ")
    running.send_signal(signal.SIGTTIN)
    running.wait_line("Ready: 2 ")
    running.send_signal(signal.SIGINT)
    assert running.wait_exit() == 0
    lines = said(running)
    assert "nworkers_changed 2 1 2" in lines
    assert "pre_fork 2 None 1" in lines
    assert {"worker_int 10", "worker_int 20", "child_exit 10 False False", "child_exit 20 False False"} <= set(lines)
    assert lines.index("worker_int 20") < lines.index("worker_exit 20 False") < lines.index("child_exit 20 False False")


def test_a_reload_brings_the_hooks_of_the_new_file(start: Start, tmp_path: Path) -> None:
    write(tmp_path, EVERY_HOOK)
    running = start(*command())
    running.wait_line("Ready: 1 ")
    write(tmp_path, EVERY_HOOK.replace("workers = 1", "workers = 2").replace('"post_fork"', '"post_fork again"'))
    running.send_signal(signal.SIGHUP)
    running.wait_line("Reloaded: 2 ")
    lines = said(running)
    assert lines.index("on_reload 2") < lines.index("nworkers_changed 2 1 2") < lines.index("pre_fork 2 None 1")
    assert "post_fork again 20 True True kept" in lines
    running.wait_line("<child_exit 10 False False>")


def test_upgrade_is_logged_before_it_begins(start: Start, tmp_path: Path, wait_for_end: Callable[[int], bool]) -> None:
    write(tmp_path, EVERY_HOOK)
    running = start(*command())
    running.wait_line("Ready: 1 ")
    running.send_signal(signal.SIGUSR2)
    new = int(running.wait_line(r"The new master \(pid: (\d+)\) is ready")[1])
    lines = said(running)
    assert lines.index("pre_exec kept") < lines.index("on_starting True 1 75.0", 2)
    os.kill(new, signal.SIGTERM)
    assert wait_for_end(new)


def test_request_past_its_timeout_is_logged(start: Start, tmp_path: Path) -> None:
    write(tmp_path, EVERY_HOOK)
    running = start(*command("--timeout", "0.3"))
    assert get(running, "/wait")[0] == 504
    running.wait_line("<worker_abort 10>")
    running.wait_line("<post_request kept too /wait 504 Gateway Timeout 504")
    assert get(running)[0] == 200


FAILING = """\
def fail(*given):
    raise ValueError("no\\nway")
{name} = lambda {arguments}: fail()
"""


@pytest.mark.parametrize("name", ["on_starting", "when_ready"])
def test_a_failure_before_there_are_workers_ends_the_start(start: Start, tmp_path: Path, name: str) -> None:
    write(tmp_path, FAILING.format(name=name, arguments="server"))
    running = start(*command())
    assert running.wait_exit() == 3
    assert running.output.endswith(f"ropewalk: {name}: the hook raised ValueError: no way\n")
    assert 'conf.py", line 2, in fail' in running.output
    assert "hooks/" not in running.output


@pytest.mark.parametrize(("name", "arguments"), [("post_fork", "server, worker"), ("post_worker_init", "worker")])
def test_a_worker_whose_hook_fails_does_not_boot(start: Start, tmp_path: Path, name: str, arguments: str) -> None:
    write(tmp_path, FAILING.format(name=name, arguments=arguments))
    running = start(*command())
    assert running.wait_exit() == 3
    assert running.output.endswith(f"ropewalk: {name}: the hook raised ValueError: no way\n")
    assert 'conf.py", line 2, in fail' in running.output


def test_a_failure_of_any_other_hook_is_logged_and_no_more(start: Start, tmp_path: Path) -> None:
    names = {
        "nworkers_changed": "server, new, old",
        "pre_fork": "server, worker",
        "post_request": "worker, req",
        "worker_abort": "worker",
        "worker_exit": "server, worker",
        "child_exit": "server, worker",
        "on_reload": "server",
        "on_exit": "server",
    }
    hooks = "".join(FAILING.format(name=name, arguments=given) for name, given in names.items())
    write(tmp_path, hooks + "worker_int = lambda worker: exit('gone')\n")
    running = start(*command("--timeout", "0.3"))
    running.wait_line("Ready: ")
    assert get(running)[0] == 200
    assert get(running, "/wait")[0] == 504
    running.send_signal(signal.SIGHUP)
    running.wait_line("Reloaded: ")
    assert get(running)[0] == 200
    running.send_signal(signal.SIGINT)
    assert running.wait_exit() == 0
    for name in names:
        assert re.search(rf"\[ERROR\] {name}: the hook raised ValueError: no way\nTraceback", running.output), name
    assert "[ERROR] worker_int: the hook raised SystemExit: gone" in running.output


def test_a_request_whose_hook_fails_is_answered_500_without_the_application(start: Start, tmp_path: Path) -> None:
    write(tmp_path, FAILING.format(name="pre_request", arguments="worker, req"))
    running = start(*command())
    status, content = get(running)
    assert status == 500
    assert b"way" not in content
    running.wait_line("pre_request: the hook raised ValueError: no way")
    running.wait_line("GET '/': the hook pre_request raised")


@pytest.mark.parametrize(
    ("configuration", "line"),
    [
        (
            "def post_fork(worker): pass",
            "post_fork (from conf.py): must take 2 arguments: server, worker",
        ),
        (
            "def post_request(worker): pass",
            "post_request (from conf.py): must take 2 to 4 arguments: worker, req, environ, resp",
        ),
        ("on_exit = 'a.b'", "on_exit='a.b' (from conf.py): must be a function of server"),
        ("certfile = 'no.pem'\ndef ssl_context(config): pass", "ssl_context (from conf.py): must take 2 arguments: "),
    ],
)
def test_what_can_be_no_hook_is_a_bad_setting(start: Start, tmp_path: Path, configuration: str, line: str) -> None:
    write(tmp_path, configuration)
    running = start(*command())
    assert running.wait_exit() == 2
    assert running.output.startswith(f"ropewalk: {line}")
    assert running.output.count("\n") == 1


def test_the_context_of_tls_can_be_changed(start: Start, tmp_path: Path) -> None:
    authority = Certificates(trustme.CA(), tmp_path)
    files = authority.make("localhost")
    write(
        tmp_path,
        "import ssl\n"
        "def ssl_context(config, default_ssl_context_factory):\n"
        "    context = default_ssl_context_factory()\n"
        "    assert config.certfile\n"
        "    context.minimum_version = ssl.TLSVersion.TLSv1_3\n"
        "    return context\n",
    )
    running = start(*command("--certfile", files["certfile"], "--keyfile", files["keyfile"]))
    port = int(running.wait_line(r"Listening at: https://127\.0\.0\.1:(\d+) ")[1])
    client = authority.client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    connection = http.client.HTTPSConnection("localhost", port, context=client, timeout=20)
    with pytest.raises(ssl.SSLError):
        connection.request("GET", "/")
    connection.close()
    (tmp_path / "conf.py").write_text("ssl_context = lambda config, make: None\n")
    running.send_signal(signal.SIGHUP)
    running.wait_line("Reload failed; .*: ssl_context: must return an ssl.SSLContext")


def test_hooks_of_requests_see_parallel_requests_apart(start: Start, tmp_path: Path) -> None:
    write(
        tmp_path,
        "def pre_request(worker, req): req.mark = req.path\n"
        "def post_request(worker, req, environ): worker.log.info('%s=%s', req.mark, environ['PATH_INFO'])\n",
    )
    running = start(*command())
    for number in range(20):
        assert get(running, f"/{number}")[0] == 200
        running.wait_line(f"/{number}=/{number}\n")
