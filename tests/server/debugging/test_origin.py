"""Who may see the pages of a server for development."""

import socket

import pytest

import ropewalk
from ropewalk.debugging.origin import IS_PROXIED, OF_PROXIES, Guard, is_proxied
from ropewalk.http.forwarded import KNOWN

LOCAL = {"ropewalk.peer": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000", IS_PROXIED: False}
DEFAULT = ("127.0.0.1", "::1")


def refusal(environ, allowed=DEFAULT, hosts=(), is_proxy_allowed=False):
    return Guard(allowed, hosts, is_proxy_allowed=is_proxy_allowed).refusal(LOCAL | environ)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_HOST": "127.0.0.1:8000"},
        {"HTTP_HOST": "[::1]:8000", "ropewalk.peer": "::1", "REMOTE_ADDR": "::1"},
        {"HTTP_HOST": "shop.localhost"},
        {"HTTP_HOST": "LOCALHOST"},
    ],
)
def test_a_browser_on_this_machine_may(environ):
    assert refusal(environ) == ""


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ropewalk.peer": "192.168.1.9", "REMOTE_ADDR": "192.168.1.9"}, "192.168.1.9 is not in --debug-allow-ips"),
        ({"ropewalk.peer": "192.168.1.9"}, "192.168.1.9 is not in --debug-allow-ips"),  # says that it is 127.0.0.1
        ({"REMOTE_ADDR": "192.168.1.9"}, "192.168.1.9 is not in --debug-allow-ips"),
        ({"ropewalk.peer": "", "REMOTE_ADDR": ""}, "a Unix socket is not in --debug-allow-ips"),
        ({IS_PROXIED: True}, "the request came through a proxy, and --debug-proxied is off"),
        ({"REMOTE_ADDR": "::1"}, "the request came through a proxy, and --debug-proxied is off"),
        ({"HTTP_HOST": "evil.example:8000"}, "'evil.example:8000' is not in --debug-hosts"),
        ({"HTTP_HOST": "localhost.evil.example"}, "'localhost.evil.example' is not in --debug-hosts"),
        ({"HTTP_HOST": "192.168.1.5"}, "'192.168.1.5' is not in --debug-hosts"),
        ({"HTTP_HOST": ""}, "'' is not in --debug-hosts"),
    ],
)
def test_others_may_not(environ, said):
    assert refusal(environ) == said


def test_without_the_mark_of_the_server_nobody_may():
    environ = {name: value for name, value in LOCAL.items() if name != IS_PROXIED}
    assert Guard(DEFAULT, (), is_proxy_allowed=False).refusal(environ)


def test_what_is_asked_for_is_allowed():
    phone = {"ropewalk.peer": "192.168.1.9", "REMOTE_ADDR": "192.168.1.9"}
    assert refusal(phone, ["192.168.1.0/24"]) == ""
    assert refusal(phone | {"HTTP_HOST": "192.168.1.5:8000"}, ["192.168.1.0/24"]) == ""
    assert refusal(phone | {"HTTP_HOST": "evil.example"}, ["*"]) != ""
    assert refusal(phone | {"HTTP_HOST": "dev.example"}, ["*"], ["dev.example"]) == ""
    assert refusal({IS_PROXIED: True}, is_proxy_allowed=True) == ""
    assert refusal({IS_PROXIED: True, "REMOTE_ADDR": "9.9.9.9"}, is_proxy_allowed=True) != ""


def test_fields_of_proxies_are_recognised():
    assert not is_proxied({"HTTP_HOST": "localhost", "HTTP_USER_AGENT": "x"})
    for name in OF_PROXIES | set(KNOWN.values()) | {"HTTP_X_FORWARDED_ANYTHING"}:
        assert is_proxied({"HTTP_HOST": "localhost", name: "x"}), name


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", False),
        (b"GET / HTTP/1.0\r\nHost: localhost\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 127.0.0.1\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: localhost\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nForwarded: for=127.0.0.1\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nVia: 1.1 cache\r\n", True),
    ],
)
@pytest.mark.parametrize("trusted", ["127.0.0.1", ""])
def test_server_marks_requests_of_proxies_whose_fields_it_removes(head, expected, trusted, monkeypatch):
    seen = []

    def application(environ, start_response):
        seen.append(environ[IS_PROXIED])
        start_response("200 OK", [])
        return []

    from ropewalk.debugging.origin import marking
    from ropewalk.runtime import factories, service

    monkeypatch.setattr(service, "make_environ", lambda settings: marking(factories.make_environ(settings)))
    allowed = [trusted] if trusted else []
    with (
        ropewalk.Server(application, bind="127.0.0.1:0", forwarded_allow_ips=allowed) as server,
        socket.create_connection(server.address) as client,
    ):
        client.sendall(head + b"Connection: close\r\n\r\n")
        while client.recv(1000):
            pass
    assert seen == [expected]
