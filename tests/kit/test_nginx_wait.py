"""A request waits while the application is restarted: with a real nginx and no container."""

import concurrent.futures
import hashlib
import http.client
import socket
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import ropewalk
from tests.helpers.containers import wait_until
from tests.helpers.nginx import ECHO, running_nginx

pytestmark = [pytest.mark.nginx, pytest.mark.skipif(not ECHO.exists(), reason="nginx's module echo is not installed")]

BODY = b"0123456789" * 20_000  # more than nginx keeps in memory


@dataclass
class Site:
    """An application that was there, and is no more."""

    port: int
    application_port: int
    folder: Path
    received: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read()
        self.received.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [hashlib.sha256(body).hexdigest().encode()]

    def request(self, method="GET", target="/", body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, target, body)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, content

    def refused(self):
        """How often nginx has found nobody."""
        return (self.folder / "error.log").read_text().count("Connection refused")


@pytest.fixture
def site():
    with tempfile.TemporaryDirectory(prefix="ropewalk-nginx-") as name:
        site = Site(0, 0, Path(name))
        with ropewalk.Server(site, bind="127.0.0.1:0") as server, running_nginx(server, site.folder) as site.port:
            server.stop()
            site.application_port = server.address[1]
            site.received.clear()
            yield site


def test_requests_wait_for_the_application_and_reach_it_once(site):
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        requests = [
            threads.submit(site.request),
            threads.submit(site.request, "POST", "/order", BODY),
            threads.submit(site.request, "GET", "/static/by-the-application"),
        ]
        wait_until(lambda: site.refused() >= 3, "nginx has found nobody for all three")
        with ropewalk.Server(site, bind=f"127.0.0.1:{site.application_port}"):
            answers = [request.result(60) for request in requests]
    assert [status for status, _ in answers] == [200, 200, 200]
    assert answers[1][1].decode() == hashlib.sha256(BODY).hexdigest()
    assert sorted(site.received) == [("GET", "/"), ("GET", "/static/by-the-application"), ("POST", "/order")]


def test_request_that_was_accepted_is_not_sent_again(site):
    accepted = []
    with socket.create_server(("127.0.0.1", site.application_port)) as listener:

        def close_all():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                accepted.append(connection.recv(65536))
                connection.close()

        thread = threading.Thread(target=close_all)
        thread.start()
        status, _ = site.request("POST", "/order", b"x")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert status == 502
    assert len(accepted) == 1


def test_wait_has_an_end(site):
    status, page = site.request()
    assert status == 502
    assert b"Back in a moment" in page
    assert site.refused() == 5


def test_nothing_waits_for_an_application_that_has_been_away_for_long(site):
    (site.folder / "nginx/away").touch()
    assert site.request()[0] == 502
    assert site.refused() == 1
