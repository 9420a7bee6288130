"""What nginx makes of requests that a browser would not send, with a real nginx of this machine and no container."""

import contextlib
import socket
import tempfile
import threading
from pathlib import Path

import pytest

import ropewalk
from tests.helpers.nginx import PATIENCE, running_nginx

pytestmark = pytest.mark.nginx

# those that deploy/backends/ropewalk/command names
FORWARDED = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"]
NAMES = "shop.example .b.example"


class Recorder:
    """An application that keeps the environ of each request but nginx's own health checks; guarded by `_lock`."""

    def __init__(self):
        self._lock = threading.Lock()
        self._seen = []

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] != "/healthz" or "HTTP_X_FORWARDED_FOR" in environ:
            with self._lock:
                self._seen.append({name: value for name, value in environ.items() if isinstance(value, str)})
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"seen\n"]

    def take(self):
        with self._lock:
            seen, self._seen = self._seen, []
        return seen


class Site:
    """nginx with the kit's configuration, and what the application behind it has seen."""

    def __init__(self, port, recorder, directory):
        self.port, self._recorder, self.directory = port, recorder, directory

    def send(self, raw):
        """All that nginx returns for these octets, until it ends the connection."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(raw)
            with contextlib.suppress(ConnectionResetError):
                while data := connection.recv(65536):
                    received += data
        return received

    def get(self, *fields, target="/", version="1.1"):
        """The status, None if there is no response, and the environs that the application saw."""
        head = "".join(f"{field}\r\n" for field in (*fields, "Connection: close"))
        received = self.send(f"GET {target} HTTP/{version}\r\n{head}\r\n".encode())
        return int(received.split()[1]) if received else None, self._recorder.take()


@contextlib.contextmanager
def running_site(**variables):
    recorder = Recorder()
    # not pytest's own directory, which only its user may enter
    with (
        tempfile.TemporaryDirectory(prefix="ropewalk-nginx-") as name,
        ropewalk.Server(recorder, bind="127.0.0.1:0", forwarded_fields=FORWARDED) as server,
        running_nginx(server, Path(name), **variables) as port,
    ):
        yield Site(port, recorder, Path(name))


@pytest.fixture(scope="module")
def named():
    """A site with names of its own."""
    with running_site(SERVER_NAME=NAMES) as site:
        yield site


@pytest.fixture(scope="module")
def unnamed():
    """A site that serves every name."""
    with running_site() as site:
        yield site


# --- The name that the application sees is the name that nginx routed by


@pytest.mark.parametrize(
    ("target", "host", "seen"),
    [
        ("/", "shop.example", "shop.example"),
        ("/", "SHOP.example:8443", "shop.example:8443"),
        ("/", "shop.example.:80", "shop.example:80"),
        ("/", "shop.example:", "shop.example"),
        ("/", "www.b.example:1", "www.b.example:1"),
        ("http://shop.example/", "shop.example", "shop.example"),
        ("http://shop.example:81/", "shop.example:82", "shop.example:81"),
        ("HTTP://Shop.Example./a?b", "shop.example", "shop.example"),
    ],
)
def test_application_sees_the_name_that_nginx_routed_by(named, target, host, seen):
    status, environs = named.get(f"Host: {host}", target=target)
    assert status == 200
    assert [(each["HTTP_HOST"], each["HTTP_X_FORWARDED_HOST"]) for each in environs] == [(seen, seen)]


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://shop.example/", "evil.example"),
        ("http://shop.example/", "shop.example.evil.example"),
        ("http://shop.example/", "evil.example:80"),
        ("http://shop.example/", "www.b.example"),
        ("http://www.b.example/", "shop.example"),
        # nginx itself takes all after the first colon for a port
        ("/", "shop.example:@evil.example"),
        ("/", "shop.example:80@evil.example"),
        ("/", "shop.example:80:evil.example"),
        ("/", "shop.example:evil"),
        ("http://shop.example/", "shop.example:@evil.example"),
    ],
)
def test_host_that_differs_from_the_name_that_nginx_routed_by_is_refused(named, target, host):
    assert named.get(f"Host: {host}", target=target) == (400, [])


@pytest.mark.parametrize("host", ["a<b>.example", 'a".example', "[::1]x", "a.example|b", "a.example\\b"])
def test_host_that_is_no_name_is_refused_whatever_the_names(unnamed, host):
    assert unnamed.get(f"Host: {host}") == (400, [])


@pytest.mark.parametrize(
    ("target", "host"),
    [("/", "evil.example"), ("http://evil.example/", "shop.example"), ("http://evil.example/", "evil.example")],
)
def test_unknown_name_gets_no_response_in_any_form(named, target, host):
    assert named.get(f"Host: {host}", target=target) == (None, [])


@pytest.mark.parametrize(
    ("target", "host", "seen"), [("/", "[::1]:8080", "[::1]:8080"), ("http://[::1]/", "[::1]", "[::1]")]
)
def test_address_is_a_name_too(unnamed, target, host, seen):
    status, environs = unnamed.get(f"Host: {host}", target=target)
    assert (status, [each["HTTP_HOST"] for each in environs]) == (200, [seen])


def test_http_1_0_needs_no_host(named, unnamed):
    status, environs = unnamed.get(target="http://shop.example:81/a", version="1.0")
    assert (status, [each["HTTP_HOST"] for each in environs]) == (200, ["shop.example:81"])
    assert unnamed.get(version="1.0")[0] == 200
    # nginx cannot know which of its names is meant
    assert named.get(version="1.0") == (None, [])
