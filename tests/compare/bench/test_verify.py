"""What a server must respond before it is measured."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest

from bench.applications import echo, hello, upload
from bench.files import PRODUCTS, STATIC_CONTENT, make_files, product
from bench.scenarios import SCENARIOS, Kind
from bench.servers import Start, find_program
from bench.verify import check, request_fields, response_content
from ropewalk import Server

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@contextmanager
def served(application: WSGIApplication, keep_alive: float = 75) -> Iterator[str]:
    with Server(application, bind="127.0.0.1:0", keep_alive=keep_alive) as server:
        host, port = server.address[:2]
        yield f"{host}:{port}"


@pytest.mark.parametrize(
    ("name", "application"),
    [
        ("hello", hello.application),
        ("heads", hello.application),
        ("pipelined", hello.application),
        ("echo", echo.application),
        ("upload", upload.application),
    ],
)
def test_correct_responses_pass(name: str, application: WSGIApplication) -> None:
    with served(application) as address:
        assert check(BY_NAME[name], address, []) == ""


@pytest.mark.parametrize("name", ["hello", "pipelined"])
@pytest.mark.parametrize(
    ("status", "content", "fault"),
    [
        ("404 Not Found", b"Hello, world!", "status 404 instead of 200"),
        ("200 OK", b"Hello", "5 bytes instead of 13"),
        ("200 OK", b"Hello, World!", "wrong content"),
    ],
)
def test_a_wrong_response_is_named(name: str, status: str, content: bytes, fault: str) -> None:
    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, [("Content-Length", str(len(content)))])
        return [content]

    with served(application) as address:
        assert check(BY_NAME[name], address, []) == fault


@pytest.mark.skipif(find_program("openssl") is None, reason="openssl makes the certificate")
def test_responses_over_tls_are_checked_against_the_certificate(tmp_path: Path) -> None:
    make_files(tmp_path)
    certificate, key = Start("hello", "", folder=str(tmp_path), is_tls=True).tls_files
    with Server(hello.application, bind="127.0.0.1:0", certfile=certificate, keyfile=key) as server:
        address = "{}:{}".format(*server.address)
        assert check(BY_NAME["https"], address, [certificate]) == ""
        assert check(BY_NAME["hello"], address, []) != ""


def test_a_server_that_answers_only_the_first_pipelined_request_is_found() -> None:
    with served(hello.application, keep_alive=0) as address:
        assert check(BY_NAME["pipelined"], address, []) == "1 responses to 16 pipelined requests"


def test_the_fields_of_a_browser_are_those_of_the_load() -> None:
    fields = request_fields(BY_NAME["heads"])
    assert fields["X-Forwarded-For"] == "192.0.2.1"
    assert fields["Cookie"].startswith("sessionid=0123456789abcdef0123456789ab0001; csrftoken=")
    assert request_fields(BY_NAME["hello"]) == {}


def content(name: str) -> bytes:
    return response_content(BY_NAME[name])


def test_every_closed_loop_knows_what_it_expects() -> None:
    assert content("static") == STATIC_CONTENT
    assert 19_000 < len(STATIC_CONTENT) < 21_000
    assert content("upload") == b"20971520 0123456789abcdef 0123456789abcdef"
    assert content("django-page") == content("flask-page")
    assert b"<td>Rope &lt;3&gt; &amp; twine</td><td>3.75</td>" in content("django-page")
    hello_too = [one for one in SCENARIOS if one.kind is Kind.CLOSED and response_content(one) == b"Hello, world!"]
    assert {one.application for one in hello_too} == {"hello", "blocks", "computes"}


def test_a_run_has_its_files(tmp_path: Path) -> None:
    make_files(tmp_path)
    assert (tmp_path / "static" / "style.css").read_bytes() == STATIC_CONTENT
    database = sqlite3.connect(tmp_path / "products.sqlite")
    (row,) = database.execute("SELECT id, name, price FROM product WHERE id = ?", [PRODUCTS - 1])
    database.close()
    assert row == tuple(product(PRODUCTS - 1).values())
