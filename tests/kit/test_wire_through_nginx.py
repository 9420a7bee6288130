"""The wire corpus through nginx as the kit sets it up, in front of ropewalk: both read the same requests.

nginx may refuse what ropewalk would take, and may mend what ropewalk would refuse, since it writes every request
itself. But the two must never divide the same octets differently: what the application saw is, request by request, what
nginx has in its log as passed on, and what it answered its client. Each case is sent whole, in two pieces, and with
another request after it, over TCP and over a Unix socket between the two.
"""

import concurrent.futures
import contextlib
import json
import re
import socket
import tempfile
import threading
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import ropewalk
from tests.helpers.nginx import PATIENCE, running_nginx
from tests.helpers.wire.corpus import NEXT, Reached, load_corpus

pytestmark = pytest.mark.nginx

CLIENTS = 64  # connections at once: most of the time is spent in waiting for what never comes


CASES = load_corpus()
VARIANTS = ("whole", "in two pieces", "with a next request")


@dataclass(slots=True)
class Exchange:
    """One case, sent one way, and what the client, nginx and the application have to tell of it."""

    received: bytes = b""
    logged: list[dict[str, Any]] = field(default_factory=list)
    seen: list[dict[str, str]] = field(default_factory=list)


def source(number: int, variant: int) -> str:
    """The client's address, by which nginx and the application name this exchange: all of 127/8 is this machine."""
    return f"127.{10 + variant}.{number >> 8}.{number & 255}"


class Recorder:
    """The application; `_seen`, by the client's address, is guarded by `_lock`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, list[dict[str, str]]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen = {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "body": environ["wsgi.input"].read().decode("latin-1"),
            "request_id": environ.get("HTTP_X_REQUEST_ID", ""),
        }
        with self._lock:
            self._seen.setdefault(environ.get("HTTP_X_FORWARDED_FOR", ""), []).append(seen)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"seen\n"]

    def take(self) -> dict[str, list[dict[str, str]]]:
        with self._lock:
            return dict(self._seen)


def pieces(case: Any, variant: str) -> list[bytes]:
    if variant == "whole":
        return [case.raw]
    if variant == "in two pieces":
        return [case.raw[: len(case.raw) // 2], case.raw[len(case.raw) // 2 :]]
    return [case.raw, NEXT]


def send(port: int, client: str, case: Any, variant: str) -> bytes:
    """Sends a case from the address `client`; returns all that comes back until nginx ends the connection."""
    received = b""
    with socket.socket() as connection:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.bind((client, 0))
        connection.connect(("127.0.0.1", port))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # answered and ended already
            for piece in pieces(case, variant):
                connection.sendall(piece)
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                received += data
    return received


@dataclass(frozen=True, slots=True)
class Corpus:
    """All exchanges, by the number of their case and the variant, and what the application saw of anybody else."""

    exchanges: dict[tuple[int, str], Exchange]
    strays: list[dict[str, str]]


@pytest.fixture(scope="module", params=["tcp", "unix"])
def corpus(request: pytest.FixtureRequest) -> Corpus:
    """The whole corpus, sent through nginx."""
    recorder = Recorder()
    keys = [(number, variant) for number in range(len(CASES)) for variant in VARIANTS]
    # not pytest's own directory, which only its user may enter
    with tempfile.TemporaryDirectory(prefix="ropewalk-wire-") as name:
        directory = Path(name)
        bind = "127.0.0.1:0" if request.param == "tcp" else f"unix:{directory}/app.sock"
        with ropewalk.Server(recorder, bind=bind, threads=8) as server, running_nginx(server, directory) as port:

            def exchange(key: tuple[int, str]) -> Exchange:
                number, variant = key
                return Exchange(send(port, source(number, VARIANTS.index(variant)), CASES[number], variant))

            with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
                exchanges = dict(zip(keys, pool.map(exchange, keys), strict=True))
        lines = (directory / "access.log").read_text("latin-1").splitlines()
    by_client = {source(number, VARIANTS.index(variant)): exchanges[number, variant] for number, variant in keys}
    for line in map(json.loads, lines):
        if line["client"] in by_client:  # and not the one who waited for nginx to listen
            by_client[line["client"]].logged.append(line)
    seen = recorder.take()
    for client, each in by_client.items():
        each.seen = seen.pop(client, [])
    return Corpus(exchanges, [stray for strays in seen.values() for stray in strays])


def check(case: Any, exchange: Exchange) -> None:
    passed_on = {line["request_id"]: line for line in exchange.logged if line["upstream"]}
    seen = [each["request_id"] for each in exchange.seen]
    # The application saw what nginx passed on, and each of those once; what is missing, ropewalk has refused.
    assert seen == [name for name, line in passed_on.items() if line["upstream_status"] == "200"]
    for each in exchange.seen:
        line = passed_on[each["request_id"]]
        assert each["method"] == line["method"]
        # "http://a?b", the one form without a path, is passed on with one
        assert each["path"] == (urllib.parse.unquote(line["uri"].partition("?")[0], "latin-1") or "/")
    # The client was given the answers to its requests, in their order. HTTP/0.9, which nginx speaks, has no fields.
    answered = re.findall(rb"^X-Request-ID: (\S+)\r$", exchange.received, re.M)
    expected = [name.encode() for name in seen if passed_on[name]["protocol"]]
    assert [name for name in answered if name in expected] == expected
    # Up to what ropewalk refuses, it is what reaches the application without nginx, or nothing.
    for each, outcome in zip(exchange.seen, case.outcomes, strict=False):
        if not isinstance(outcome, Reached):
            break
        assert (each["method"], each["body"]) == (outcome.method, outcome.body)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[str(case) for case in CASES])
def test_nginx_and_the_application_see_the_same_requests(corpus, number):
    for variant in VARIANTS:
        case = CASES[number]
        if variant == "with a next request" and not case.is_incomplete:  # where it would be part of what is awaited
            case = case.with_next()
        check(case, corpus.exchanges[number, variant])


def test_application_sees_nothing_that_nginx_did_not_write(corpus):
    """Such a request would come from inside another, and have no address of a client, or another's."""
    assert [stray for stray in corpus.strays if stray["path"] != "/healthz"] == []


def test_most_of_what_ropewalk_takes_passes_nginx_and_most_of_what_it_refuses_is_refused(corpus):
    """Or else the cases would show nothing."""
    whole = [(case, corpus.exchanges[number, "whole"]) for number, case in enumerate(CASES)]
    taken = [len(each.seen) == len(case.reached) for case, each in whole if len(case.reached) == len(case.outcomes)]
    refused = [len(each.seen) <= len(case.reached) for case, each in whole if len(case.reached) < len(case.outcomes)]
    assert sum(taken) > 0.9 * len(taken) > 100
    assert sum(refused) > 0.6 * len(refused) > 100


REQUEST = {"request_id": "1", "upstream": "x", "upstream_status": "200", "method": "GET", "uri": "/", "protocol": "-"}
SEEN = {"request_id": "1", "method": "GET", "path": "/", "body": ""}


@pytest.mark.parametrize(
    "seen",
    [
        [],
        [SEEN, SEEN],
        [SEEN, SEEN | {"request_id": "", "path": "/admin"}],
        [SEEN | {"path": "/admin"}],
        [SEEN | {"method": "POST"}],
        [SEEN | {"body": "GET / HTTP/1.1"}],
    ],
)
def test_disagreement_would_be_found(seen):
    case = next(case for case in CASES if case.outcomes and case.outcomes[0] == Reached("GET", "/"))
    answer = b"HTTP/1.1 200 OK\r\nX-Request-ID: 1\r\n\r\n"
    check(case, Exchange(answer, [REQUEST], [SEEN]))
    with pytest.raises((AssertionError, KeyError)):
        check(case, Exchange(answer, [REQUEST], seen))
