"""The responses of the admin listener, given the octets of a request."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from ropewalk.control.admin_http import AdminHandler
from ropewalk.control.status_page import PAGE
from ropewalk.metrics.prometheus import exposition
from ropewalk.metrics.snapshot import ServerStatus
from tests.helpers.statuses import server_status

STATUS = server_status()


class RecordingClient:
    def __init__(self) -> None:
        self.octets = b""
        self.is_last = False

    def send(self, octets: bytes, *, is_last: bool = False) -> None:
        assert not self.is_last
        self.octets += octets
        self.is_last = is_last


class FakeSource:
    def __init__(self, ready_now: bool = True) -> None:
        self.ready_now = ready_now

    def is_ready(self) -> bool:
        return self.ready_now

    def status(self, done: Callable[[ServerStatus], None]) -> None:
        done(STATUS)


def ask(request: bytes, *, is_ready: bool = True) -> tuple[int, str, str]:
    client = RecordingClient()
    handler = AdminHandler(FakeSource(is_ready), client)
    for octet in request:
        handler.receive(bytes([octet]))
    whole = RecordingClient()
    AdminHandler(FakeSource(is_ready), whole).receive(request + b"GET /livez HTTP/1.1\r\nHost: b\r\n\r\n")
    assert client.is_last
    assert whole.octets == client.octets
    head, _, content = client.octets.decode().partition("\r\n\r\n")
    assert "\r\nConnection: close" in head
    return int(head.split(" ")[1]), head, content


def get(path: str, method: str = "GET", **how: bool) -> tuple[int, str, str]:
    return ask(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), **how)


def test_alive_and_ready() -> None:
    assert get("/livez")[::2] == (200, "alive\n")
    assert get("/readyz")[::2] == (200, "ready\n")


def test_server_that_is_not_ready_is_alive() -> None:
    assert get("/livez", is_ready=False)[0] == 200
    assert get("/readyz", is_ready=False)[::2] == (503, "not ready\n")


def test_status_is_json() -> None:
    assert json.loads(get("/status.json")[2]) == STATUS


def test_head_request_gets_no_content() -> None:
    status_code, head, content = get("/", "HEAD")
    assert (status_code, content) == (200, "")
    assert f"Content-Length: {len(PAGE.encode())}\r\n" in head


@pytest.mark.parametrize(
    ("request_octets", "status_code"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET /etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_status_code_of_other_requests(request_octets: bytes, status_code: int) -> None:
    assert ask(request_octets)[0] == status_code


def ask_host(host: str, path: str = "/status.json", names: tuple[str, ...] = ()) -> int:
    client = RecordingClient()
    AdminHandler(FakeSource(), client, names).receive(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return int(client.octets.split(b" ")[1])


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:9000", "10.1.2.3:80", "[::1]:9000", "[::ffff:10.1.2.3]", "[fe80::1]"),
        *("localhost", "LOCALHOST:9000", "localhost.", "web:9000", "shop.localhost:9000"),
    ],
)
def test_host_that_no_web_site_can_have_is_served(host: str) -> None:
    assert ask_host(host) == 200


@pytest.mark.parametrize(
    "host",
    ["attacker.example", "attacker.example:9000", "127.0.0.1.attacker.example", "127.0.0", "localhost.example", "a.b."],
)
def test_host_that_may_be_of_a_web_site_is_refused(host: str) -> None:
    for path in ("/", "/metrics", "/status.json", "/nothing"):
        assert ask_host(host, path) == 421
    assert ask_host(host, "/livez") == ask_host(host, "/readyz") == 200  # which say nothing that is worth it


def test_host_that_the_settings_name_is_served() -> None:
    names = ("metrics.example",)
    assert ask_host("metrics.example:9000", names=names) == ask_host("Metrics.Example.", names=names) == 200
    assert ask_host("www.metrics.example", names=names) == 421
    assert ask_host("www.metrics.example", names=("*",)) == 200


def test_request_head_without_an_end_is_refused() -> None:
    client = RecordingClient()
    AdminHandler(FakeSource(), client).receive(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 4000)
    assert client.octets.startswith(b"HTTP/1.1 431 ")


def test_metrics_are_in_prometheus_text_format() -> None:
    status_code, head, content = get("/metrics")
    assert status_code == 200
    assert "Content-Type: text/plain; version=0.0.4; charset=utf-8" in head
    assert content == exposition(STATUS)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "action")]


def test_page_loads_nothing_from_elsewhere() -> None:
    links = _Links()
    links.feed(PAGE)
    assert links.found == ["metrics", "status.json"]
    assert "innerHTML" not in PAGE  # what clients asked for is shown there
    assert "default-src 'none'" in get("/")[1]
