"""Applications that log through gunicorn's loggers, at the whole server."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

APPLICATION = """\
import logging

shop = logging.getLogger("shop")
for handler in logging.getLogger("gunicorn.error").handlers:
    shop.addHandler(handler)  # a copy of the list
shop.setLevel(logging.getLogger("gunicorn.error").level)
other = logging.Logger("other")
other.handlers = logging.getLogger("gunicorn.error").handlers  # the list itself

def application(environ, start_response):
    shop.info("sold in the %s", "shop")
    other.info("sold elsewhere")
    logging.getLogger("gunicorn.access").info("an own line")
    start_response("200 OK", [])
    return [b"served"]
"""

FILE = """\
import logging

def on_starting(server):
    logging.getLogger("gunicorn.error").info("on_starting")

def post_fork(server, worker):
    logging.getLogger("gunicorn.access").addFilter(lambda record: "healthz" not in record.getMessage())
"""


@pytest.fixture
def launch(start: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    (tmp_path / "shop.py").write_text(APPLICATION)
    (tmp_path / "gunicorn.conf.py").write_text(FILE)

    def launch(*arguments: str) -> Any:
        return start(sys.executable, "-W", "error", "-m", "ropewalk", "-b", "127.0.0.1:0", *arguments, "shop")

    return launch


def request(running: Any) -> None:
    port = int(running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+) ")[1])
    running.wait_line("Ready: 1 worker")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"served"
    finally:
        connection.close()


@pytest.mark.parametrize("arguments", [(), ("--preload",)], ids=["plain", "preload"])
def test_with_a_python_file_the_handlers_are_there_for_the_application(
    launch: Callable[..., Any], arguments: tuple[str, ...]
) -> None:
    running = launch("-c", "gunicorn.conf.py", "--access-logfile", "-", *arguments)
    running.wait_line(r"\[INFO\] on_starting\n")
    running.wait_line(r"\[WARNING\] filters of the logger gunicorn\.access have no effect on the lines of requests\n")
    request(running)
    running.wait_line(r"\[INFO\] sold in the shop\n")
    running.wait_line(r"\[INFO\] sold elsewhere\n")
    running.wait_line(r"GET /healthz HTTP/1\.1")
    running.wait_line(r"(?m)^an own line\n")


def test_without_one_they_are_there_once_the_application_is_loaded(launch: Callable[..., Any]) -> None:
    running = launch()
    request(running)
    running.wait_line(r"\[INFO\] sold elsewhere\n")
    assert "have no effect" not in running.output
