"""A whole server in which the application holds the interpreter inside C."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

APPLICATION = """\
import ctypes, os

def application(environ, start_response):
    if environ["PATH_INFO"] == "/hold":
        os.write(2, b"holding in %d\\n" % os.getpid())
        ctypes.PyDLL(None).sleep(600)  # as PyDLL does, and extensions of that kind: the interpreter is not let go
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def test_a_call_that_holds_the_interpreter_costs_its_own_worker_alone(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION)
    running = start(
        *(sys.executable, "-W", "error", "-m", "ropewalk", "-b", "127.0.0.1:0", "-w", "2", "--timeout", "1", "shop")
    )
    port = int(running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+) ")[1])
    running.wait_line("Ready: 2 workers")
    holding = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    holding.request("GET", "/hold")
    pid = int(running.wait_line(r"holding in (\d+)")[1])
    running.wait_line(rf"Worker \(pid: {pid}\) unresponsive for \d+ s .*; killing it")
    running.wait_lines("Ready: 2 workers", 2)
    holding.close()
    other = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    other.request("GET", "/")
    assert other.getresponse().read() == b"ok"
    other.close()
