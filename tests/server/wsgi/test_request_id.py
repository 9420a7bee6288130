"""An id for each request."""

from __future__ import annotations

import http.client
import json
import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ropewalk
from ropewalk.wsgi.request_id import RequestIds, with_request_id_field
from tests.helpers.embedded import Talk
from tests.helpers.http_client import GET


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


def test_the_environ_and_the_response_have_it(ask: Ask) -> None:
    assert ask("/", name="theirs", request_id="response") == ("theirs", "theirs")
    field, seen = ask("/", name="theirs", request_id="response", forwarded_allow_ips="192.0.2.1")
    assert field == seen != "theirs"


def test_in_the_environ_alone_it_is_not_answered(ask: Ask) -> None:
    assert ask("/", name="theirs", request_id="environ") == (None, "theirs")


def test_without_the_setting_there_is_none(ask: Ask) -> None:
    assert ask("/", name="theirs") == (None, "None")


def test_an_applications_own_field_stays(ask: Ask) -> None:
    assert ask("/own", name="theirs", request_id="response")[0] == "own"


def own_response(talk: Talk, request: bytes, application: Any = application, **settings: Any) -> tuple[bytes, bytes]:
    """Status and request id of the last response to `request`, which is the server's own."""
    response = talk.ask(application, request, **{"request_id": "response", **settings}).rpartition(b"HTTP/1.1 ")[2]
    names = re.findall(rb"\r\nX-Request-ID: ([^\r]*)\r\n", response)
    assert len(names) <= 1
    return response[:3], (names or [b""])[0]


HEAD = b"Host: x\r\nX-Request-ID: theirs\r\nConnection: close\r\n"


def fails(environ: dict[str, Any], start_response: Any) -> Any:
    raise ValueError("wrong")


def spoils(environ: dict[str, Any], start_response: Any) -> Any:
    environ["ropewalk.request_id"] = "a\r\nSet-Cookie: b"
    raise ValueError("wrong")


@pytest.mark.parametrize(
    ("request_octets", "status_code"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 11\r\n" + HEAD + b"\r\n", b"413"),
        (b"GET https://x/ HTTP/1.1\r\n" + HEAD + b"\r\n", b"421"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HEAD + b"\r\nnonsense\r\n", b"400"),
    ],
)
def test_refusal_of_a_request_whose_head_was_read_has_the_id(
    talk: Talk, request_octets: bytes, status_code: bytes
) -> None:
    assert own_response(talk, request_octets, limit_request_body=10) == (status_code, b"theirs")
    status, name = own_response(talk, request_octets, limit_request_body=10, forwarded_allow_ips="192.0.2.1")
    assert status == status_code
    assert re.fullmatch(rb"[0-9a-f]{24}", name)
    assert own_response(talk, request_octets, limit_request_body=10, request_id="environ") == (status_code, b"")


def test_a_refusal_of_what_is_no_head_has_none(talk: Talk) -> None:
    assert own_response(talk, b"nonsense\r\n\r\n") == (b"400", b"")


def test_response_to_an_exception_and_the_log_have_the_id(talk: Talk, capfd: pytest.CaptureFixture[str]) -> None:
    assert own_response(talk, b"GET /a HTTP/1.1\r\n" + HEAD + b"\r\n", fails) == (b"500", b"theirs")
    assert "[ERROR] GET '/a': the application raised ValueError (request id theirs)\nTrace" in capfd.readouterr().err
    assert own_response(talk, GET, fails, request_id="environ") == (b"500", b"")


@pytest.mark.parametrize("request_id", ["off", "environ", "response"])
def test_content_of_a_response_of_our_own_names_the_id(talk: Talk, request_id: str) -> None:
    request = b"GET /a HTTP/1.1\r\n" + HEAD
    response = talk.ask(fails, request + b"\r\n", request_id=request_id)
    assert response.endswith(b"\r\n\r\n500 Internal Server Error\nRequest ID: theirs\n")
    response = talk.ask(fails, request + b"Accept: application/json\r\n\r\n", request_id=request_id)
    assert json.loads(response.partition(b"\r\n\r\n")[2])["request_id"] == "theirs"
    harmful = request.replace(b"theirs", b'"<a>')
    assert b"<a>" not in talk.ask(fails, harmful + b"\r\n", request_id=request_id)


def test_the_log_has_the_proxys_id_if_the_server_assigns_none(talk: Talk, capfd: pytest.CaptureFixture[str]) -> None:
    assert own_response(talk, b"GET /a HTTP/1.1\r\n" + HEAD + b"\r\n", fails, request_id="off") == (b"500", b"")
    assert "ValueError (request id theirs)\n" in capfd.readouterr().err


def test_an_application_that_overwrites_the_id_changes_nothing(talk: Talk, capfd: pytest.CaptureFixture[str]) -> None:
    status, name = own_response(talk, GET, spoils)
    assert status == b"500"
    assert re.fullmatch(rb"[0-9a-f]{24}", name)
    assert f"ValueError (request id {name.decode()})\n" in capfd.readouterr().err


def test_an_application_that_clears_its_environ_changes_nothing(talk: Talk, tmp_path: Path) -> None:
    """The response, the error log and the access log have the id from the server, not from the environ."""

    def clears(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        environ.clear()
        if path == "/fails":
            raise ValueError
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    log = tmp_path / "access.log"
    server = talk.serve(clears, request_id="response", access_log=str(log), access_log_format="%(id)s %(queue)s %(s)s")
    client = talk.connect(server)
    fields = b"Host: x\r\nX-Request-ID: %s\r\nX-Request-Start: t=1\r\n\r\n"
    client.send(b"GET /a HTTP/1.1\r\n" + fields.replace(b"t=1", b"t=%d" % time.time()) % b"one")
    client.send(b"GET /fails HTTP/1.1\r\n" + fields % b"two")
    assert re.findall(rb"X-Request-ID: (\w+)\r", client.read_all()) == [b"one", b"two"]
    server.stop()
    first, second = log.read_text().splitlines()
    assert re.fullmatch(r"one [0-9.]+ 200", first)
    assert second == "two - 500"


def test_response_in_the_place_of_a_slow_application_has_the_id(talk: Talk) -> None:
    is_inside, go_on = threading.Event(), threading.Event()

    def slow(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        is_inside.set()
        assert go_on.wait(20)
        start_response("200 OK", [])
        return []

    server = talk.serve_as_worker(slow, request_id="response")
    client = talk.connect(server)
    client.send(b"GET /a HTTP/1.1\r\n" + HEAD + b"\r\n")
    assert is_inside.wait(20)
    [(thread, description, since, _)] = server.service.running()
    assert description == "GET '/a' (request id theirs)"
    assert server.service.interrupt(thread, since)
    response = client.read_all()
    go_on.set()
    assert response.startswith(b"HTTP/1.1 504 ")
    assert b"\r\nX-Request-ID: theirs\r\n" in response
    assert response.endswith(b"\r\n\r\n504 Gateway Timeout\nRequest ID: theirs\n")


def test_a_request_that_may_not_wait_is_refused_with_it(talk: Talk) -> None:
    go_on, inside = threading.Event(), threading.Semaphore(0)

    def slow(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        inside.release()
        assert go_on.wait(20)
        start_response("200 OK", [])
        return []

    server = talk.serve(slow, request_id="response", threads=1, limit_waiting=1)
    clients = [talk.connect(server) for _ in range(3)]
    clients[0].send(GET)
    assert inside.acquire(timeout=20)
    for number in (1, 2):
        clients[number].send(b"GET / HTTP/1.1\r\n" + HEAD.replace(b"theirs", b"number-%d" % number) + b"\r\n")
    ready, _, _ = select.select([client.sock for client in clients], [], [], 20)  # whichever came second
    response = next(client for client in clients if client.sock in ready).read_all()
    go_on.set()
    assert response.startswith(b"HTTP/1.1 503 ")
    assert re.search(rb"\r\nX-Request-ID: number-[12]\r\n", response)


def test_exc_info_is_passed_on() -> None:
    seen: list[Any] = []

    def fails(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("500 Oh", [], (None, None, None))
        return []

    with_request_id_field(fails)({"ropewalk.request_id": "a"}, lambda *arguments: seen.extend(arguments))
    assert seen == ["500 Oh", [("X-Request-ID", "a")], (None, None, None)]
