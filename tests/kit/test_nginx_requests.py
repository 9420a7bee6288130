"""What nginx makes of requests that a browser would not send, with a real nginx of this machine and no container."""

import contextlib
import json
import re
import select
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

import ropewalk
from tests.helpers.containers import wait_until
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
    """nginx with the kit's configuration, and what its application has seen."""

    def __init__(self, port, recorder, directory):
        self.port, self._recorder, self.directory = port, recorder, directory

    def take(self):
        return self._recorder.take()

    def send(self, raw, source="127.0.0.1"):
        """All that nginx returns for these octets, until it ends the connection."""
        received = b""
        address = "127.0.0.1", self.port
        with socket.create_connection(address, timeout=PATIENCE, source_address=(source, 0)) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(raw)
            with contextlib.suppress(ConnectionResetError):
                while data := connection.recv(65536):
                    received += data
        return received

    def logged(self):
        """nginx's log, of the requests that have ended."""
        return [json.loads(line) for line in (self.directory / "access.log").read_text().splitlines()]

    def probe(self, *arguments):
        """Whether a request by the kit's own probe succeeds."""
        command = ["bash", self.directory / "kit/bin/probe", "127.0.0.1", *arguments]
        return subprocess.run(command, check=False, timeout=PATIENCE).returncode == 0

    def get(self, *fields, target="/", version="1.1", source="127.0.0.1"):
        """The status, None if there is no response, and the environs that the application saw."""
        head = "".join(f"{field}\r\n" for field in (*fields, "Connection: close"))
        received = self.send(f"GET {target} HTTP/{version}\r\n{head}\r\n".encode(), source)
        return int(received.split()[1]) if received else None, self._recorder.take()


@contextlib.contextmanager
def running_site(*, before=lambda _folder: None, **variables):
    """The kit's nginx in front of a recorder; `before` is called with its directory before it starts."""
    recorder = Recorder()
    # not pytest's own directory, which only its user may enter
    with (
        tempfile.TemporaryDirectory(prefix="ropewalk-nginx-") as name,
        ropewalk.Server(recorder, bind="127.0.0.1:0", forwarded_fields=FORWARDED) as server,
        running_nginx(server, Path(name), before=before, **variables) as port,
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


# --- What a stranger claims


def test_request_id_of_a_stranger_is_replaced(unnamed):
    _, [environ] = unnamed.get("Host: a", "X-Request-ID: 0123456789abcdef")
    assert re.fullmatch("[0-9a-f]{32}", environ["HTTP_X_REQUEST_ID"])


def test_request_id_of_a_trusted_proxy_is_kept_if_it_can_be_one():
    with running_site(TRUSTED_PROXIES="127.0.0.0/8") as site:
        _, [environ] = site.get("Host: a", "X-Request-ID: 0123456789abcdef")
        assert environ["HTTP_X_REQUEST_ID"] == "0123456789abcdef"
        _, [environ] = site.get("Host: a", 'X-Request-ID: 01234567"89')
        assert re.fullmatch("[0-9a-f]{32}", environ["HTTP_X_REQUEST_ID"])


@pytest.mark.parametrize(
    "field",
    [
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
        "Keep-Alive: timeout=5",
        "TE: trailers",
        "Trailer: X-Checksum",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic YTpi",
    ],
)
def test_field_for_this_connection_alone_is_not_passed_on(unnamed, field):
    status, [environ] = unnamed.get("Host: a", field)
    name = "HTTP_" + field.partition(":")[0].upper().replace("-", "_")
    assert (status, environ.get(name), environ.get("HTTP_CONNECTION")) == (200, None, None)


# --- Static files


def test_file_with_a_dot_in_front_is_not_public(unnamed):
    assets = unnamed.directory / "srv/assets"
    (assets / ".vite").mkdir(parents=True)
    for name in (".published.json", ".site.css.new", ".vite/manifest.json", "site.css", "a.b.css"):
        (assets / name).write_text(name)
    for path in (
        ".published.json",
        "%2epublished.json",
        ".site.css.new",
        ".vite/manifest.json",
        "x/../.published.json",
    ):
        assert unnamed.get("Host: a", target=f"/static/{path}") == (404, []), path
    for path in ("site.css", "a.b.css"):
        assert unnamed.get("Host: a", target=f"/static/{path}") == (200, []), path


# --- Limits


def test_health_path_is_limited_for_a_stranger_and_the_kit_s_own_probe_is_not():
    with running_site(RATE_LIMIT="1") as site:
        statuses = [site.get("Host: a", target="/healthz", source="127.0.0.2")[0] for _ in range(8)]
        assert statuses[0] == 200
        assert statuses[-1] == 429
        assert all(site.probe(str(site.port)) for _ in range(8))
        # but that address has no more of other paths than anybody else
        assert [site.get("Host: a")[0] for _ in range(8)][-1] == 429


def test_addresses_of_one_ipv6_network_share_a_limit():
    with running_site(RATE_LIMIT="1", TRUSTED_PROXIES="127.0.0.0/8") as site:

        def statuses(*clients):
            return [site.get("Host: a", f"X-Forwarded-For: {client}")[0] for client in clients]

        assert statuses(*(f"2001:db8::{number:x}:1" for number in range(8)))[-1] == 429
        assert statuses(*(f"2001:db8:0:{number:x}::1" for number in range(1, 8))) == [200] * 7
        assert statuses(*(f"192.0.2.{number}" for number in range(1, 8))) == [200] * 7


# --- Bodies


def post(path, size, *fields):
    head = [f"POST {path} HTTP/1.1", "Host: a", "Connection: close", f"Content-Length: {size}", *fields]
    return "\r\n".join((*head, "", "")).encode() + b"x" * size


@pytest.fixture(scope="module")
def uploads():
    with running_site(MAX_BODY_SIZE="1000", UPLOAD_SIZE="2000", UPLOAD_PATHS="/up /a/b/ /up/ /a/b/c.d") as site:
        yield site


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/", 1000),
        ("/u", 1000),
        ("/up", 2000),
        ("/up/", 2000),
        ("/up?x=/y", 2000),
        ("/up/x/y", 2000),
        ("//up", 2000),
        ("/x/../up", 2000),
        ("/%75p", 2000),
        ("/upper", 1000),
        ("/up.html", 1000),
        ("/UP", 1000),
        ("/up/../x", 1000),
        ("/x/up", 1000),
        ("/?/up", 1000),
        ("/a", 1000),
        ("/a/b", 2000),
        ("/a/b/c", 2000),
        ("/a/b/c.d/e", 2000),
        ("/a/bc", 1000),
        # not a file, so that the application gets them
        ("/static/up", 1000),
        ("/.well-known/acme-challenge/up", 1000),
    ],
)
def test_body_may_be_as_large_as_its_path_allows(uploads, path, most):
    assert uploads.send(post(path, most)).startswith(b"HTTP/1.1 200 ")
    refused = uploads.send(post(path, most + 1))
    assert refused.startswith(b"HTTP/1.1 413 ")
    assert b"larger than this site accepts" in refused
    chunk = b"%x\r\n" % most + b"x" * most + b"\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    assert uploads.send(head + chunk + b"0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert uploads.send(head + chunk + b"1\r\nx\r\n0\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    # nginx has not redirected any of them
    assert {seen["REQUEST_URI"] for seen in uploads.take()} == {path}


UNFINISHED = {
    "with a length": "Content-Length: 1000",
    "in chunks": "Transfer-Encoding: chunked",
    "with an expectation": "Content-Length: 1000\r\nExpect: 100-continue",
}


@contextlib.contextmanager
def unfinished(site, count, *, source="127.0.0.2", method="POST", path="/", fields="Content-Length: 1000"):
    """Requests whose bodies do not end; yields their connections."""
    with contextlib.ExitStack() as connections:
        opened = []
        for _ in range(count):
            made = socket.create_connection(("127.0.0.1", site.port), PATIENCE, source_address=(source, 0))
            opened.append(connections.enter_context(made))
            made.sendall(f"{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n".encode())
        yield opened


def wait_for_refusals(opened, count):
    """Until so many of the connections have a 429: the others are counted by then."""
    received = dict.fromkeys(opened, b"")

    def refused():
        for connection in select.select(opened, [], [], 0)[0]:
            with contextlib.suppress(ConnectionResetError):
                received[connection] += connection.recv(65536)
        return [content for content in received.values() if b"HTTP/1.1 429 " in content]

    wait_until(lambda: len(refused()) >= count, f"{count} requests are refused")


LIMITED = {"BODY_LIMIT": "3", "UPLOAD_LIMIT": "2", "UPLOAD_PATHS": "/up", "body_timeout": "30s"}


@pytest.mark.parametrize("fields", UNFINISHED.values(), ids=UNFINISHED)
@pytest.mark.parametrize(
    ("method", "path", "most"),
    [("POST", "/", 3), ("GET", "/", 3), ("POST", "/static/no-file", 3), ("POST", "/up", 2), ("PUT", "/up/x", 2)],
)
def test_one_client_has_only_so_many_bodies_at_a_time(fields, method, path, most):
    sent = {"method": method, "path": path, "fields": fields}
    with running_site(**LIMITED) as site, unfinished(site, most + 4, **sent) as opened:
        wait_for_refusals(opened, 4)
        refused = site.send(post(path, 10), source="127.0.0.2")
        assert refused.startswith(b"HTTP/1.1 429 ")
        assert b"Too many requests" in refused
        # the others', and what has no body, is served
        assert site.send(post(path, 10)).startswith(b"HTTP/1.1 200 ")
        for each in ("GET", "DELETE", "OPTIONS"):
            raw = f"{each} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
            assert site.send(raw, source="127.0.0.2").startswith(b"HTTP/1.1 200 ")
        assert site.send(post(path, 0), source="127.0.0.2").startswith(b"HTTP/1.1 200 ")


def test_uploads_and_other_bodies_have_limits_of_their_own():
    with running_site(**LIMITED) as site, unfinished(site, 3, path="/up") as opened:
        wait_for_refusals(opened, 1)
        assert site.send(post("/", 10), source="127.0.0.2").startswith(b"HTTP/1.1 200 ")


def test_limits_of_bodies_can_be_switched_off():
    with running_site(body_timeout="30s", UPLOAD_PATHS="/up") as site, unfinished(site, 60) as opened:
        with unfinished(site, 60, path="/up"):
            for path in ("/", "/up"):
                assert site.send(post(path, 10), source="127.0.0.2").startswith(b"HTTP/1.1 200 ")
        for connection in opened:
            connection.sendall(b"x" * 1000)
        for connection in opened:
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_body_that_has_ended_is_counted_no_longer():
    with running_site(**LIMITED) as site, unfinished(site, 4) as opened:
        wait_for_refusals(opened, 1)
        for connection in opened:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the one that was refused
                connection.sendall(b"x" * 1000)
                connection.recv(1000)
        assert site.send(post("/", 10), source="127.0.0.2").startswith(b"HTTP/1.1 200 ")


def test_log_says_why_the_clients_of_an_unknown_proxy_share_a_limit():
    for trusted, expected in (("", "the peer sends X-Forwarded-For, but is not in TRUSTED_PROXIES"), ("127.0.0.2", "")):
        with running_site(RATE_LIMIT="1", TRUSTED_PROXIES=trusted) as site:
            for _ in range(4):
                site.get("Host: a", "X-Forwarded-For: 192.0.2.1", source="127.0.0.2")
            wait_until(lambda site=site: len(site.logged()) == 4, "all are logged")
            lines = site.logged()
        assert {line["hint"] for line in lines if line["status"] == 429} == {expected}
        assert {line["hint"] for line in lines if line["status"] != 429} == {""}


def test_log_says_which_variable_allows_larger_bodies():
    with running_site(MAX_BODY_SIZE="1k") as site:
        assert site.send(post("/", 1025)).startswith(b"HTTP/1.1 413 ")
        assert site.send(post("/", 1024)).startswith(b"HTTP/1.1 200 ")
        wait_until(lambda: len(site.logged()) == 2, "both are logged")
        lines = site.logged()
    hint = "the body is larger than MAX_BODY_SIZE, or than UPLOAD_SIZE at a path in UPLOAD_PATHS"
    assert {line["status"]: line["hint"] for line in lines} == {413: hint, 200: ""}


# --- Logs


def test_field_that_nginx_logs_as_it_is_cannot_control_a_terminal():
    """nginx's error log has the Referer of a request unescaped; the access log is JSON."""
    with running_site(RATE_LIMIT="1") as site:
        assert [site.get("Host: a")[0] for _ in range(4)][-1] == 429
        for control in ("\x1b[2J", "\x07", "\x7f", "\x01"):
            assert site.get("Host: a", f"Referer: http://a/{control}") == (400, [])
        assert site.get("Host: a", "Referer: http://a/\tb")[0] == 429
        assert site.get("Host: a", "User-Agent: \x1b[2J")[0] == 429
        wait_until(lambda: len(site.logged()) == 10, "all are logged")
        written = b"".join((site.directory / name).read_bytes() for name in ("error.log", "access.log"))
    assert b'referrer: "http://a/\tb"' in written
    assert not set(written) & set(range(32)) - set(b"\t\n")
