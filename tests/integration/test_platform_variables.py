"""Variables that hosting platforms and gunicorn's users set, in a server that is started without options for them."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.ports import free_port

APPLICATION = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}|{environ['REQUEST_URI']}".encode()]
"""


@pytest.fixture
def launch(start: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    (tmp_path / "shop.py").write_text(APPLICATION)

    def launch(*arguments: str, **env: str) -> Any:
        return start(sys.executable, "-W", "error", "-m", "ropewalk", *arguments, "shop", env=env)

    return launch


def get(port: int, target: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", target)
    try:
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_port_is_where_the_server_listens_and_the_log_says_so(launch: Callable[..., Any]) -> None:
    port = free_port()
    running = launch(PORT=str(port))
    running.wait_line(rf"Listening at: http://0\.0\.0\.0:{port} \(\d+\), from PORT\n")
    running.wait_line("Ready: 1 worker")
    assert get(port, "/cart") == (200, "|/cart|/cart")


def test_bind_goes_over_port_without_a_word(launch: Callable[..., Any]) -> None:
    running = launch("-b", "127.0.0.1:0", PORT="1")
    port = int(running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+) \(\d+\)\n")[1])
    running.wait_line("Ready: 1 worker")
    assert get(port, "/")[0] == 200
    assert "WARNING" not in running.output


def test_a_bad_port_is_one_line_and_status_2(launch: Callable[..., Any]) -> None:
    running = launch(PORT="8000/tcp")
    assert running.wait_exit() == 2
    assert running.output.startswith("ropewalk: PORT='8000/tcp': must be an integer from 1 to 65535")
    assert running.output.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "env"), [(("-e", "SCRIPT_NAME=/shop"), {}), ((), {"SCRIPT_NAME": "/shop"})], ids=["-e", "variable"]
)
def test_script_name_of_the_environment_is_split_off(
    launch: Callable[..., Any], arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    running = launch("-b", "127.0.0.1:0", "--access-logfile", "-", "--access-logformat", "<%(r)s>", *arguments, **env)
    port = int(running.wait_line(r"Listening at: http://127\.0\.0\.1:(\d+) ")[1])
    running.wait_line("Ready: 1 worker")
    assert get(port, "/shop/a%20b?q") == (200, "/shop|/a b|/shop/a%20b?q")
    running.wait_line(r"<GET /shop/a%20b\?q HTTP/1\.1>")
    assert get(port, "/shopping") == (404, "404 Not Found\n")
    running.wait_line(
        r"\[WARNING\] Refused GET '/shopping' from 127\.0\.0\.1 with 404: "
        r"the path does not begin with '/shop' \(SCRIPT_NAME\)"
    )


def test_a_bad_script_name_is_one_line_and_status_2(launch: Callable[..., Any]) -> None:
    running = launch(SCRIPT_NAME="/shop/")
    assert running.wait_exit() == 2
    assert running.output.startswith("ropewalk: --script-name='/shop/' (from SCRIPT_NAME): must begin with / and not ")
    assert running.output.count("\n") == 1


@pytest.mark.parametrize("where", ["shop.py", "gunicorn.conf.py"])
def test_script_name_that_is_set_too_late_is_a_warning(launch: Callable[..., Any], tmp_path: Path, where: str) -> None:
    (tmp_path / "gunicorn.conf.py").touch()
    with (tmp_path / where).open("a") as file:
        file.write("import os\nos.environ['SCRIPT_NAME'] = '/late'\n")
    running = launch("-b", "127.0.0.1:0", "-c", "gunicorn.conf.py")
    running.wait_line(
        r"\[WARNING\] SCRIPT_NAME='/late', set by the configuration file or the application, has no effect"
    )
