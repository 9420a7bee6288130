"""A name for each request."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ropewalk
from ropewalk.wsgi.request_id import RequestIds, answer_request_id


def assigned(name: str | None, *, is_trusted: bool) -> str:
    environ: dict[str, Any] = {} if name is None else {"HTTP_X_REQUEST_ID": name}
    RequestIds().assign(environ, is_trusted=is_trusted)
    assert environ["HTTP_X_REQUEST_ID"] == environ["ropewalk.request_id"]
    return str(environ["ropewalk.request_id"])


@pytest.mark.parametrize(
    "name", ["a", "0f8fad5b-d9cb-469f-a165-70867728950e", "Root=1-67891233-abcdef012345", "x" * 128]
)
def test_a_trusted_proxys_name_is_kept(name: str) -> None:
    assert assigned(name, is_trusted=True) == name


@pytest.mark.parametrize("name", [None, "", "x" * 129, "a b", 'a"b', "a\nb", "a,b", "\xe9", "a\n"])
def test_what_is_no_name_is_replaced(name: str | None) -> None:
    assert assigned(name, is_trusted=True) != name


def test_a_clients_name_is_replaced() -> None:
    assert assigned("mine", is_trusted=False) != "mine"


def test_names_differ_within_a_process_and_between_processes() -> None:
    ids, names = RequestIds(), []

    def make() -> None:
        for _ in range(500):
            environ: dict[str, Any] = {}
            ids.assign(environ, is_trusted=False)
            names.append(environ["ropewalk.request_id"])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names)) == 2000
    assert assigned(None, is_trusted=False) not in names


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    own = [("x-request-id", "own")] if environ["PATH_INFO"] == "/own" else []
    content = str(environ.get("ropewalk.request_id")).encode()
    start_response("200 OK", [("Content-Length", str(len(content))), *own])
    return [content]


Ask = Callable[..., tuple[str | None, str]]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Asks a server with those settings: the answer's field, and what the application saw."""
    servers: list[ropewalk.Server] = []

    def ask(target: str, *, name: str = "", **settings: Any) -> tuple[str | None, str]:
        server = ropewalk.Server(application, bind="127.0.0.1:0", **settings)
        servers.append(server)
        server.start()
        connection = http.client.HTTPConnection(*server.address, timeout=20)
        connection.request("GET", target, headers={"X-Request-ID": name} if name else {})
        response = connection.getresponse()
        found = response.getheader("X-Request-ID"), response.read().decode()
        connection.close()
        return found

    yield ask
    for server in servers:
        server.stop()


def test_the_environ_and_the_answer_have_it(ask: Ask) -> None:
    assert ask("/", name="theirs", request_id="answer") == ("theirs", "theirs")
    field, seen = ask("/", name="theirs", request_id="answer", forwarded_allow_ips="192.0.2.1")
    assert field == seen != "theirs"


def test_in_the_environ_alone_it_is_not_answered(ask: Ask) -> None:
    assert ask("/", name="theirs", request_id="environ") == (None, "theirs")


def test_without_the_setting_there_is_none(ask: Ask) -> None:
    assert ask("/", name="theirs") == (None, "None")


def test_an_applications_own_field_stays(ask: Ask) -> None:
    assert ask("/own", name="theirs", request_id="answer")[0] == "own"


def test_exc_info_is_passed_on() -> None:
    seen: list[Any] = []

    def fails(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("500 Oh", [], (None, None, None))
        return []

    answer_request_id(fails)({"ropewalk.request_id": "a"}, lambda *given: seen.extend(given))  # type: ignore[arg-type]
    assert seen == ["500 Oh", [("X-Request-ID", "a")], (None, None, None)]
