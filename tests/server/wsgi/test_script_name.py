"""An application under a path: how the path of a request is split, and which requests are not the application's."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.errors import ProtocolError
from ropewalk.http.head import HeadLimits, RequestHead, parse_head
from ropewalk.wsgi.environ import Environ, TrustedPeers, connection_environ, listener_environ
from ropewalk.wsgi.script_name import MountedEnviron, path_below
from tests.helpers.embedded import Talk

PREFIX = ("x-forwarded-prefix",)


@pytest.fixture(scope="module")
def base() -> Iterator[Environ]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener_environ(listener, io.StringIO(), is_multithread=True, is_multiprocess=False)


def head(target: str, *lines: str, method: str = "GET") -> RequestHead:
    text = "".join(f"{line}\r\n" for line in (f"{method} {target} HTTP/1.1", "Host: a", *lines))
    return parse_head(text, HeadLimits())


def mounted(base: Environ, script_name: str, peer: Any = ("10.0.0.1", 1)) -> MountedEnviron:
    def make(environ: Environ, trusted: TrustedPeers | None) -> MountedEnviron:
        return MountedEnviron(environ, trusted, script_name)

    connection = connection_environ(base, peer, TrustedPeers(("10.0.0.1",), PREFIX), None, make)
    assert isinstance(connection, MountedEnviron)
    return connection


@pytest.mark.parametrize(
    ("target", "path_info"),
    [
        ("/shop", ""),
        ("/shop?q=/x", ""),
        ("/shop/", "/"),
        ("/shop/cart/1", "/cart/1"),
        ("/shop//cart", "//cart"),
        ("/shop/../cart", "/../cart"),
        ("/sh%6Fp/a%20b", "/a b"),
        ("/shop%2Fcart", "/cart"),
        ("/shop/shop", "/shop"),
        ("http://b/shop/cart", "/cart"),
    ],
)
def test_path_is_split_and_the_target_stays(base: Environ, target: str, path_info: str) -> None:
    request = head(target)
    environ = mounted(base, "/shop").request(request, None)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/shop", path_info)
    assert environ["REQUEST_URI"] == environ["RAW_URI"] == target
    assert request.path == path_info  # which timeouts by prefix are looked up for


@pytest.mark.parametrize(
    "target", ["/", "/shopping", "/sho", "//shop/cart", "/Shop", "/a/shop", "/shop%00", "/shop;a", "http://a"]
)
def test_path_that_is_not_below_it_is_a_404(base: Environ, target: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        mounted(base, "/shop").request(head(target), None)
    assert (caught.value.status_code, str(caught.value)) == (
        404,
        "404: the path does not begin with '/shop' (SCRIPT_NAME)",
    )


def test_path_of_octets_that_are_not_ascii(base: Environ) -> None:
    environ = mounted(base, "/café").request(head("/caf%C3%A9/menu"), None)
    assert environ["SCRIPT_NAME"].encode("latin-1").decode() == "/café"
    assert environ["PATH_INFO"] == "/menu"
    with pytest.raises(ProtocolError):
        mounted(base, "/café").request(head("/caf%E9/menu"), None)


def test_the_server_as_a_whole_is_the_root_of_the_application(base: Environ) -> None:
    environ = mounted(base, "/shop").request(head("*", method="OPTIONS"), None)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["REQUEST_URI"]) == ("/shop", "/", "*")


def test_prefix_of_a_proxy_comes_before_it(base: Environ) -> None:
    connection = mounted(base, "/shop")
    for _ in range(3):  # the third is a copy of a prepared environ
        request = head("/shop/cart", "X-Forwarded-Prefix: /eu")
        environ = connection.request(request, None)
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/eu/shop", "/cart")
    stranger = mounted(base, "/shop", peer=("192.0.2.1", 1))
    assert stranger.request(head("/shop/cart", "X-Forwarded-Prefix: /eu"), None)["SCRIPT_NAME"] == "/shop"


segments = st.text(st.characters(exclude_characters="/%", exclude_categories=("Cs", "Cc")), min_size=1, max_size=5)


@given(st.lists(segments, min_size=1, max_size=3), st.text("abo/;.% é", max_size=12), st.booleans())
def test_script_name_and_path_info_always_recombine(names: list[str], rest: str, is_below: bool) -> None:
    script_name = "".join(f"/{name}" for name in names).encode().decode("latin-1")
    path = script_name + rest if is_below else f"/{rest}"
    if path == script_name or path.startswith(f"{script_name}/"):
        path_info = path_below(script_name, path)
        assert script_name + path_info == path
        assert path_info == "" or path_info.startswith("/")
    else:
        with pytest.raises(ProtocolError):
            path_below(script_name, path)


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]


@pytest.mark.parametrize("target", ["/shop/a", "/shop", "http://x/shop/a"])
def test_a_server_passes_on_what_is_below_it(talk: Talk, target: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    path_info = "/a" if target.endswith("/a") else ""
    assert talk.ask(application, request, script_name="/shop").endswith(f"/shop|{path_info}".encode())


def test_a_server_responds_to_everything_else_itself(talk: Talk) -> None:
    request = b"POST /cart HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
    response = talk.ask(application, request, script_name="/shop")
    assert response.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert response.endswith(b"\r\n\r\n404 Not Found\n")


def test_static_files_are_below_it(talk: Talk, tmp_path: Any) -> None:
    (tmp_path / "a.txt").write_text("a file")
    settings = {"script_name": "/shop", "static": f"/static/={tmp_path}"}
    get = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert talk.ask(application, get % b"/shop/static/a.txt", **settings).endswith(b"a file")
    assert talk.ask(application, get % b"/static/a.txt", **settings).startswith(b"HTTP/1.1 404 ")
