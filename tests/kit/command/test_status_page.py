"""deploy/kit/status_page.py, with a docker that runs what it is to run in the container on this machine."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from kit import containers, status_page
from kit.errors import KitError
from tests.helpers.ports import free_port
from tests.kit.command.test_containers import inspected


def container(*environment):
    found = inspected("app")
    found["Config"]["Env"] = list(environment)
    return containers.read([found])[0]


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        ([], ("127.0.0.1", 9180)),
        (["ADMIN_BIND=", "BACKEND=ropewalk"], ("127.0.0.1", 9180)),
        (["ADMIN_BIND=0.0.0.0:9000"], ("127.0.0.1", 9000)),
        (["ADMIN_BIND=:9000"], ("127.0.0.1", 9000)),
        (["ADMIN_BIND=[::]:9000"], ("127.0.0.1", 9000)),
        (["ADMIN_BIND=10.0.0.7:9000"], ("10.0.0.7", 9000)),
    ],
)
def test_address_in_the_container(lines, address):
    assert status_page.admin_address(container(*lines)) == address


@pytest.mark.parametrize(
    ("line", "said"),
    [("BACKEND=gunicorn", "runs gunicorn, which has no status page"), ("ADMIN_BIND=off", "ADMIN_BIND is off")],
)
def test_container_without_a_page_is_refused(line, said):
    with pytest.raises(KitError, match=said):
        status_page.admin_address(container(line))


@pytest.mark.parametrize("port", ["0", "65000", "http", "-1"])
def test_port_that_is_none_is_refused(port):
    with pytest.raises(KitError, match=f"ADMIN_PORT='{port}': must be an integer from 1 to 64999"):
        status_page.read_port({"ADMIN_PORT": port})


def test_port_that_is_in_use_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(KitError, match=f"ADMIN_PORT={port}: 127.0.0.1:{port}: Address already in use"):
            status_page.listen(port)


@pytest.fixture
def command(tmp_path):
    """command(address, port): the command whose output lines name the page, with one container that has it there."""
    tmp_path.joinpath("docker").write_text(f"""#!/bin/sh
case "$*" in
'compose version --short') echo 2.26.1 ;;
'compose config --format json') echo '{{"name": "shop"}}' ;;
version*) echo 26.1.5 ;;
ps*) echo id-of-app ;;
inspect*) cat {tmp_path}/inspected ;;
'exec --interactive id-of-app python '*) shift 4; exec {sys.executable} "$@" ;;
*) exit 9 ;;
esac
""")
    tmp_path.joinpath("docker").chmod(0o755)
    started = []

    def start(repository, admin, free):
        found = inspected("app")
        found["Config"]["Env"] = [f"ADMIN_BIND=127.0.0.1:{admin}"]
        tmp_path.joinpath("inspected").write_text(json.dumps([found]))
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "COMPOSE_ENV_FILES": "/dev/null",
            "ADMIN_PORT": str(free),
        }
        words = [sys.executable, "-I", repository / "deploy/kit", "status-page"]
        process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process.stdout.readline()

    yield start
    for process in started:
        process.kill()
        process.stdout.close()
        process.wait()


def test_page_of_the_container_is_on_this_machine(repository, command, serve_once):
    admin, page = serve_once, free_port()
    said = command(repository, admin, page)
    assert said == f"==> http://127.0.0.1:{page}/ is the status page of app\n"
    with urllib.request.urlopen(f"http://127.0.0.1:{page}/", timeout=30) as response:
        assert response.read() == b"busy" * 50_000


@pytest.fixture
def serve_once():
    """The port of a server with a page that is larger than a pipe."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"busy" * 50_000)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_listener_that_is_not_there_is_said_by_the_page(repository, command):
    admin, page = free_port(), free_port()
    command(repository, admin, page)
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(f"http://127.0.0.1:{page}/", timeout=30)
    with failed.value as error:
        assert (error.code, error.read()) == (502, f"127.0.0.1:{admin}: Connection refused\n".encode())
