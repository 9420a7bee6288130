"""The environ, and which parts of it proxies and clients can set."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.errors import ProtocolError
from ropewalk.http.head import HeadLimits, RequestHead, parse_head
from ropewalk.http.proxy_protocol import Endpoint, ProxyHeader
from ropewalk.wsgi.environ import (
    REQUEST_KEYS,
    SERVER_SOFTWARE,
    ConnectionEnviron,
    Environ,
    TrustedPeers,
    connection_environ,
    listener_environ,
)
from tests.helpers.embedded import Talk
from tests.helpers.http_client import GET, Client

CLIENT = "198.51.100.7"
LIE = "203.0.113.66"
PROXY = ("10.0.0.1", 40000)
ALL = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix")
LIES = {
    "X-Forwarded-For": LIE,
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-User": "root",
    "Forwarded": f"for={LIE};proto=https;host=evil.example",
    "X-Real-IP": LIE,
}
CLIENT_KEYS = (
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "wsgi.url_scheme",
    "HTTP_HOST",
    "SERVER_NAME",
    "SERVER_PORT",
    "SCRIPT_NAME",
)
OF_THE_SOCKET = (*PROXY[:1], str(PROXY[1]), "http", "shop.example", "127.0.0.1", "8000", "")


@pytest.fixture(scope="module")
def base() -> Iterator[Environ]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environ = listener_environ(listener, io.StringIO(), is_multithread=True, is_multiprocess=False)
        yield environ | {"SERVER_PORT": "8000"}


def head(fields: dict[str, str], *, line: str = "GET /a%20b?q=1 HTTP/1.1") -> RequestHead:
    given = {"Host": "shop.example"} | fields
    text = f"{line}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return parse_head(text, HeadLimits())


def environ_of(
    base: Environ,
    fields: dict[str, str],
    *,
    peer: Any = PROXY,
    allowed: tuple[str, ...] = ("10.0.0.0/8",),
    names: tuple[str, ...] = ALL,
    header: ProxyHeader | None = None,
) -> Environ:
    connection = connection_environ(base, peer, TrustedPeers(allowed, names), header)
    before = connection.base.copy()
    request = head(fields)
    environ = connection.request(request, None)
    expected = dict(environ)
    environ["wsgi.early_hints"] = environ["HTTP_HOST"] = "changed by the application"
    again = [connection.request(request, None) for _ in range(3)]  # as a next head that shares its fields
    for each in again:
        assert {**each, "wsgi.input": None} == {**expected, "wsgi.input": None}, "a request left something to the next"
        each["HTTP_HOST"] = "changed by the application"
    other = parse_head("GET /other HTTP/1.1\r\nHost: other\r\n", HeadLimits())
    names_left = set(connection.request(other, None)) - set(before) - {"HTTP_HOST"}
    assert not names_left, "a field of one request is left in the next"
    assert connection.base == before
    return expected


def client_values(environ: Environ) -> tuple[str | None, ...]:
    return tuple(environ.get(name) for name in CLIENT_KEYS)


def forwarded_keys(environ: Environ) -> set[str]:
    return {name for name in environ if "FORWARDED" in name or name == "HTTP_X_REAL_IP"}


def test_what_a_request_is_made_of(base: Environ) -> None:
    environ = environ_of(base, {"Content-Type": "text/plain", "X-Name": "a"})
    assert client_values(environ) == OF_THE_SOCKET
    assert environ["REQUEST_METHOD"] == "GET"
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/a b", "q=1")
    assert environ["REQUEST_URI"] == environ["RAW_URI"] == "/a%20b?q=1"
    assert (environ["CONTENT_TYPE"], environ["HTTP_X_NAME"]) == ("text/plain", "a")
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["SERVER_SOFTWARE"] == SERVER_SOFTWARE
    assert environ["wsgi.input"].read() == b""
    assert environ["ropewalk.peer"] == "10.0.0.1"


def test_a_decoded_body_has_its_length(base: Environ) -> None:
    connection = connection_environ(base, PROXY, TrustedPeers(()))
    chunked = head({"Transfer-Encoding": "chunked"}, line="POST / HTTP/1.1")
    environ = connection.request(chunked, io.BytesIO(b"hemp"))
    assert environ["CONTENT_LENGTH"] == "4"
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert environ["wsgi.input"].read() == b"hemp"


@pytest.mark.parametrize(
    ("peer", "address", "port"),
    [
        (PROXY, "10.0.0.1", "40000"),
        (("::ffff:10.0.0.1", 40000, 0, 0), "10.0.0.1", "40000"),
        (("::ffff:7", 40000, 0, 0), "::ffff:7", "40000"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::1%eth0", "1"),
        ("", "", None),
        (b"", "", None),
    ],
)
def test_the_peers_address(base: Environ, peer: Any, address: str, port: str | None) -> None:
    environ = connection_environ(base, peer, TrustedPeers(())).base
    assert environ["REMOTE_ADDR"] == environ["ropewalk.peer"] == address
    assert environ.get("REMOTE_PORT") == port


# From a trusted proxy


def test_nginx_as_it_is_mostly_configured(base: Environ) -> None:
    fields = {"X-Forwarded-For": f"{LIE}, {CLIENT}", "X-Forwarded-Proto": "https", "X-Real-IP": CLIENT}
    connection = connection_environ(base, ("127.0.0.1", 40000), TrustedPeers(("127.0.0.1", "::1")))
    environ = connection.request(head(fields), None)
    assert client_values(environ) == (CLIENT, None, "https", "shop.example", "127.0.0.1", "8000", "")
    assert environ["HTTP_X_FORWARDED_FOR"] == f"{LIE}, {CLIENT}"
    assert environ["HTTP_X_FORWARDED_PROTO"] == "https"
    assert environ["HTTP_X_REAL_IP"] == CLIENT
    assert environ["ropewalk.peer"] == "127.0.0.1"


@pytest.mark.parametrize("peer", [PROXY, "", b"", ("::ffff:10.0.0.1", 1, 0, 0)], ids=repr)
def test_all_that_a_proxy_can_tell(base: Environ, peer: Any) -> None:
    fields = {
        "X-Forwarded-For": f"{CLIENT}:50123",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "www.example",
        "X-Forwarded-Port": "8443",
        "X-Forwarded-Prefix": "/app",
    }
    environ = environ_of(base, fields, peer=peer)
    assert client_values(environ) == (CLIENT, "50123", "https", "www.example:8443", "www.example", "8443", "/app")
    assert environ["PATH_INFO"] == "/a b"


def test_forwarded_where_it_is_named(base: Environ) -> None:
    fields = LIES | {"Forwarded": f'for="{CLIENT}:50123";proto=https;host="www.example:8443"'}
    environ = environ_of(base, fields, names=("forwarded",))
    assert client_values(environ) == (CLIENT, "50123", "https", "www.example:8443", "www.example", "8443", "")
    assert forwarded_keys(environ) == {
        *("HTTP_FORWARDED", "HTTP_X_FORWARDED_SSL", "HTTP_X_FORWARDED_USER", "HTTP_X_REAL_IP"),
    }


@pytest.mark.parametrize(
    ("fields", "host", "name", "port"),
    [
        ({"X-Forwarded-Host": "a.example"}, "a.example", "a.example", "80"),
        ({"X-Forwarded-Host": "a.example", "X-Forwarded-Proto": "https"}, "a.example", "a.example", "443"),
        ({"X-Forwarded-Host": "a.example:81"}, "a.example:81", "a.example", "81"),
        ({"X-Forwarded-Host": "a.example:81", "X-Forwarded-Port": "82"}, "a.example:81", "a.example", "82"),
        ({"X-Forwarded-Host": "[::1]", "X-Forwarded-Port": "82"}, "[::1]:82", "[::1]", "82"),
        ({"X-Forwarded-Host": "a.example:"}, "a.example", "a.example", "80"),
        ({"X-Forwarded-Port": "80"}, "shop.example", "127.0.0.1", "80"),
        ({"X-Forwarded-Port": "443", "X-Forwarded-Proto": "https"}, "shop.example", "127.0.0.1", "443"),
        ({"X-Forwarded-Port": "8443", "X-Forwarded-Proto": "https"}, "shop.example:8443", "127.0.0.1", "8443"),
        ({"X-Forwarded-Port": "82", "Host": "b.example:81"}, "b.example:81", "127.0.0.1", "82"),
        ({"X-Forwarded-Proto": "https"}, "shop.example", "127.0.0.1", "8000"),
    ],
    ids=repr,
)
def test_hosts_and_ports(base: Environ, fields: dict[str, str], host: str, name: str, port: str) -> None:
    environ = environ_of(base, fields)
    assert (environ["HTTP_HOST"], environ["SERVER_NAME"], environ["SERVER_PORT"]) == (host, name, port)


def test_a_port_without_any_host(base: Environ) -> None:
    connection = connection_environ(base, PROXY, TrustedPeers(("10.0.0.1",), ALL))
    request = parse_head("GET / HTTP/1.0\r\nX-Forwarded-Port: 82\r\n", HeadLimits())
    environ = connection.request(request, None)
    assert "HTTP_HOST" not in environ
    assert environ["SERVER_PORT"] == "82"


# What clients would like


def test_a_peer_that_is_no_proxy_says_nothing(base: Environ) -> None:
    environ = environ_of(base, LIES, allowed=("10.0.0.2",))
    assert client_values(environ) == OF_THE_SOCKET
    assert forwarded_keys(environ) == set()


def test_a_field_that_the_proxy_does_not_write_says_nothing(base: Environ) -> None:
    environ = environ_of(base, LIES | {"X-Forwarded-For": CLIENT}, names=("x-forwarded-for",))
    assert client_values(environ) == (CLIENT, None, *OF_THE_SOCKET[2:])
    assert forwarded_keys(environ) == {
        *("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_SSL", "HTTP_X_FORWARDED_USER", "HTTP_X_REAL_IP"),
    }


def test_a_proxy_without_trusted_fields_changes_nothing(base: Environ) -> None:
    assert client_values(environ_of(base, LIES, names=())) == OF_THE_SOCKET


def test_names_with_underscores_are_not_those_of_proxies(base: Environ) -> None:
    lies = {name.replace("-", "_"): value for name, value in LIES.items() if "-" in name}
    environ = environ_of(base, lies)
    assert client_values(environ) == OF_THE_SOCKET
    assert forwarded_keys(environ) == set()


def test_a_client_that_no_proxy_names_does_not_have_the_proxys_address(base: Environ) -> None:
    environ = environ_of(base, {"X-Forwarded-For": "unknown"})
    assert environ["REMOTE_ADDR"] == ""
    assert "REMOTE_PORT" not in environ


# The PROXY protocol's header

SOURCE, DESTINATION = Endpoint(CLIENT, 50123), Endpoint("203.0.113.9", 443)


def test_the_proxy_header_sets_the_peer(base: Environ) -> None:
    header = ProxyHeader(28, SOURCE, DESTINATION, is_tls=True)
    environ = environ_of(base, LIES, header=header)
    assert client_values(environ) == (CLIENT, "50123", "https", "shop.example", "203.0.113.9", "443", "")
    assert environ["ropewalk.peer"] == "10.0.0.1"
    assert forwarded_keys(environ) == set()


def test_the_source_of_a_proxy_header_may_be_a_trusted_proxy(base: Environ) -> None:
    header = ProxyHeader(28, Endpoint("10.7.7.7", 1), DESTINATION)
    assert environ_of(base, {"X-Forwarded-For": CLIENT}, header=header)["REMOTE_ADDR"] == CLIENT


def test_trusting_all_peers_does_not_trust_the_source_of_a_proxy_header(base: Environ) -> None:
    header = ProxyHeader(28, SOURCE, DESTINATION)
    assert environ_of(base, LIES, allowed=("*",), header=header)["REMOTE_ADDR"] == CLIENT


@pytest.mark.parametrize("header", [ProxyHeader(16, is_local=True), ProxyHeader(16)])
def test_a_header_without_addresses_changes_none(base: Environ, header: ProxyHeader) -> None:
    assert client_values(environ_of(base, {}, header=header)) == OF_THE_SOCKET
    assert environ_of(base, {"X-Forwarded-For": CLIENT}, header=header)["REMOTE_ADDR"] == CLIENT


# Through a real server


def shown(environ: Environ, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [json.dumps({name: value for name, value in environ.items() if isinstance(value, str)}).encode()]


def ask(talk: Talk, fields: dict[str, str], **settings: Any) -> dict[str, str]:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    request = f"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{lines}\r\n"
    response = talk.ask(shown, request.encode(), **settings)
    assert response.startswith(b"HTTP/1.1 200 OK\r\n"), response
    found: dict[str, str] = json.loads(response.partition(b"\r\n\r\n")[2])
    return found


def test_a_server_trusts_a_proxy_on_its_own_machine(talk: Talk) -> None:
    environ = ask(talk, LIES | {"X-Forwarded-For": CLIENT})
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == (CLIENT, "https")
    assert environ["HTTP_HOST"] == "shop.example"
    assert not {"HTTP_FORWARDED", "HTTP_X_FORWARDED_HOST"} & environ.keys()


def test_a_server_that_trusts_no_peer_drops_the_fields(talk: Talk) -> None:
    environ = ask(talk, LIES, forwarded_allow_ips="192.0.2.1")
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("127.0.0.1", "http")
    assert forwarded_keys(environ) == set()


def test_a_server_refuses_what_a_proxy_cannot_have_meant(talk: Talk) -> None:
    asked: list[Environ] = []

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        asked.append(environ)
        return shown(environ, start_response)

    request = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: localhost\r\n\r\n"
    response = talk.ask(application, request + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert response.count(b"HTTP/1.1 ") == 1
    assert b"localhost" not in response
    assert asked == []


def test_a_server_trusts_the_fields_of_its_settings(talk: Talk) -> None:
    names = "x-forwarded-host,x-forwarded-prefix"
    environ = ask(talk, {"X-Forwarded-Host": "a.example", "X-Forwarded-For": LIE}, forwarded_fields=names)
    assert (environ["HTTP_HOST"], environ["REMOTE_ADDR"]) == ("a.example", "127.0.0.1")


V1 = f"PROXY TCP4 {CLIENT} 203.0.113.9 50123 443\r\n".encode()


def test_a_server_reads_the_proxy_protocol(talk: Talk) -> None:
    client = talk.connect(talk.serve(shown, proxy_protocol="auto"))
    for octet in V1:
        client.send(bytes([octet]))
    for _ in range(2):  # the header comes once in a connection, and applies to all its requests
        client.send(f"GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: {LIE}\r\n\r\n".encode())
        environ = json.loads(client.read_response()[1])
        assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == (CLIENT, "50123")
        assert environ["ropewalk.peer"] == "127.0.0.1"
        assert "HTTP_X_FORWARDED_FOR" not in environ


def test_a_server_that_reads_the_proxy_protocol_insists_on_it(talk: Talk) -> None:
    assert b"HTTP/1.1 200" not in talk.ask(shown, GET, proxy_protocol="auto")
    assert b"HTTP/1.1 200" not in talk.ask(shown, V1 + GET, proxy_protocol="v2")
    assert b"HTTP/1.1 200" in talk.ask(shown, V1 + GET, proxy_protocol="v1")


def test_a_server_closes_connections_of_others_than_its_proxies(talk: Talk) -> None:
    response = talk.ask(shown, V1 + GET, proxy_protocol="auto", proxy_allow_from="192.0.2.1")
    assert response in (b"", b"RESET")


def test_a_server_does_not_read_the_proxy_protocol_unasked(talk: Talk) -> None:
    assert talk.ask(shown, V1 + GET).startswith(b"HTTP/1.1 400 ")


def test_a_bad_network_stops_the_start_in_one_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "ropewalk", "--forwarded-allow-ips=10.0.0.0/33", "x:y"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert re.fullmatch(r"ropewalk: --forwarded-allow-ips='10\.0\.0\.0/33': must be [^\n]+\n", ended.stderr)


# Through nginx, which sends the client that it sees in fields of its response

NGINX = """
daemon off; master_process off; pid {path}/pid; error_log stderr error;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {path}/body; proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/fastcgi;
    uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
    add_header X-Seen-Client $remote_addr;
    add_header X-Seen-Scheme $scheme;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://{app}; }}
    }}
    server {{
        listen unix:{path}/nginx.sock;
        location / {{ proxy_pass http://{app}; }}
    }}
}}
"""


@pytest.fixture
def nginx(talk: Talk, tmp_path: Path, wait_for: Callable[[Callable[[], object], str], None]) -> Iterator[list[Any]]:
    """nginx in front of a server that shows its environ: the addresses of nginx."""
    server = talk.serve(shown)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = probe.getsockname()
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(path=tmp_path, port=address[1], app="{}:{}".format(*server.address)))
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    assert program is not None
    process = subprocess.Popen([program, "-e", "stderr", "-c", str(config)])
    try:
        wait_for((tmp_path / "nginx.sock").exists, "nginx's listening")
        yield [address, str(tmp_path / "nginx.sock")]
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.nginx
def test_nginx_and_the_application_agree_on_the_client(nginx: list[Any]) -> None:
    # The client has the address of this machine, which is also that of a trusted proxy: its fields are trusted.
    lies = "".join(f"{name}: {value}\r\n" for name, value in LIES.items() if name != "X-Forwarded-For")
    for address, said, client in (
        (nginx[0], "", "127.0.0.1"),
        (nginx[0], f"X-Forwarded-For: {LIE}, {CLIENT}\r\n", CLIENT),
        (nginx[1], "", ""),
        (nginx[1], f"X-Forwarded-For: {LIE}\r\n", ""),
    ):
        visitor = Client(address)
        with visitor.sock:
            visitor.send(f"GET / HTTP/1.1\r\nHost: shop.example\r\n{lies}{said}\r\n".encode())
            response, content = visitor.read_response()
        environ = json.loads(content)
        assert environ["REMOTE_ADDR"] == client
        assert environ["ropewalk.peer"] == "127.0.0.1"
        assert environ["HTTP_HOST"] == "shop.example"
        assert f"X-Seen-Scheme: {environ['wsgi.url_scheme']}\r\n".encode() in response
        if not said:
            assert f"X-Seen-Client: {client or 'unix:'}\r\n".encode() in response


field_lines = st.sampled_from(
    [
        "",
        "Cookie: a=b\r\n",
        "Transfer-Encoding: chunked\r\n",
        f"X-Forwarded-For: {LIE}\r\n",
        f"X-Forwarded-For: {CLIENT}\r\nX-Forwarded-Proto: https\r\n",
        f"Forwarded: for={CLIENT};proto=https;host=shop.example\r\n",
        "X-Forwarded-Proto: gopher\r\n",
    ]
)
request_lines = st.sampled_from(
    ["GET /a?b HTTP/1.1", "POST /a%20b HTTP/1.1", "GET / HTTP/1.0", "GET https://x/ HTTP/1.1", "OPTIONS * HTTP/1.1"]
)


@given(st.lists(st.tuples(request_lines, field_lines), max_size=6), st.sampled_from(["*", "192.0.2.1"]))
def test_a_prepared_environ_is_that_of_a_fresh_connection(requests: list[tuple[str, str]], allowed: str) -> None:
    """Whatever a connection has asked for before, and whatever the application did to those environs."""
    base = {**dict.fromkeys(REQUEST_KEYS), "SERVER_NAME": "s", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
    peers = TrustedPeers([allowed], [*ALL, "forwarded"])
    kept = connection_environ(base, PROXY, peers)
    previous = None
    for line, fields in requests:
        text = f"{line}\r\nHost: x\r\n{fields}"
        try:
            previous = parse_head(text, HeadLimits(), previous)
        except ProtocolError:
            continue  # it does not get here
        found = outcome(kept, previous)
        assert found == outcome(connection_environ(base, PROXY, peers), parse_head(text, HeadLimits()))
        if isinstance(found, dict):
            found.clear()


def outcome(connection: ConnectionEnviron, head: RequestHead) -> Environ | str:
    """The environ of a request with three bytes of content, or why it is refused."""
    try:
        environ = connection.request(head, io.BytesIO(b"abc"))
    except ProtocolError as error:
        return str(error)
    environ["wsgi.input"] = environ["wsgi.input"].read()
    return environ
