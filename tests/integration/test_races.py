"""Many threads at once, on the interpreter that runs the tests, with the GIL or without: nothing is mixed up or lost.

With the GIL, threads are made to change places as often as they can. Clients and server share the process, so all that
it keeps for everybody (caches, counters, buffers, queues) is used by everybody at the same time.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.embedded import Talk
from tests.helpers.http_client import Client

WaitFor = Callable[[Callable[[], object], str], None]

CLIENTS = 12
ROUNDS = 25
PIPELINED = 8
KINDS = ("whole", "streamed", "waits", "computes", "echo", "fails")  # the last one ends the connection
SWITCH_INTERVAL = 1e-5  # seconds


@pytest.fixture(autouse=True)
def _restless_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    yield
    sys.setswitchinterval(before)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """Answers with what was asked, in a way that the path names."""
    kind = environ["PATH_INFO"].split("/")[1]
    name = environ["HTTP_X_NAME"]
    assert environ["QUERY_STRING"] == name
    content = (environ["wsgi.input"].read() or name.encode()) + b";" + environ["HTTP_X_REQUEST_ID"].encode()
    if kind == "fails":
        raise ValueError("planted")
    if kind == "waits":
        threading.Event().wait(0.001)
    elif kind == "computes":
        sum(range(3000))
    # A field and a value that are new to every cache, beside those that are always the same.
    start_response("200 OK", [("X-Name", name), (f"X-{name}", "1"), ("Content-Type", "text/plain")])
    if kind == "streamed":
        return (content[index : index + 1] for index in range(len(content)))
    return [content]


class Visitor(threading.Thread):
    """A client that sends each kind of request, alone and in a row, and checks that each answer is its own."""

    def __init__(self, address: Any, number: int) -> None:
        super().__init__(name=f"visitor-{number}")
        self.number = number
        self.answered = self.refused = 0
        self.request_ids: list[bytes] = []
        self.fault: BaseException | None = None
        self._address = address

    def run(self) -> None:
        try:
            for turn in range(ROUNDS):
                client = Client(self._address)
                with contextlib.closing(client.sock):
                    self._pipeline(client, turn)
                    for index, kind in enumerate(KINDS):
                        self._ask(client, kind, f"{self.number}-{turn}-{index}")
        except BaseException as fault:  # noqa: BLE001 - reported by the test
            self.fault = fault

    def _ask(self, client: Client, kind: str, name: str) -> None:
        client.send(self._request(kind, name))
        if kind == "fails":
            head, _ = client.read_response()
            assert head.startswith(b"HTTP/1.1 500 "), head
            self.refused += 1
            assert client.read_all() == b""
        else:
            self._check(client, kind, name)

    def _pipeline(self, client: Client, turn: int) -> None:
        names = [f"{self.number}-{turn}-p{index}" for index in range(PIPELINED)]
        client.send(b"".join(self._request("whole", name) for name in names))
        for name in names:
            self._check(client, "whole", name)

    def _request(self, kind: str, name: str) -> bytes:
        content = f"content of {name}".encode() if kind == "echo" else b""
        lines = [f"POST /{kind} HTTP/1.1" if content else f"GET /{kind} HTTP/1.1", "Host: x", f"X-Name: {name}"]
        lines[0] = lines[0].replace(" HTTP", f"?{name} HTTP")
        lines += [f"X-Of-{name}: 1", f"Content-Length: {len(content)}", "", ""]
        return "\r\n".join(lines).encode() + content

    def _check(self, client: Client, kind: str, name: str) -> None:
        if kind == "streamed":
            head = client.read_until(b"\r\n\r\n")
            chunks = client.read_until(b"0\r\n\r\n")
            content = b"".join(chunks.split(b"\r\n")[1::2])
        else:
            head, content = client.read_response()
        assert f"\r\nX-Name: {name}\r\nX-{name}: 1\r\n".encode() in head, (name, head)
        content, _, request_id = content.partition(b";")
        assert content.decode() == (f"content of {name}" if kind == "echo" else name)
        self.request_ids.append(request_id)
        self.answered += 1


def test_many_threads_mix_up_and_lose_nothing(
    talk: Talk, tmp_path: Path, wait_for: WaitFor, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "access.log"
    server = talk.serve(
        application, threads=8, access_log=str(log), access_log_format="%(s)s %(q)s", request_id="environ"
    )
    visitors = [Visitor(server.address, number) for number in range(CLIENTS)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert [visitor.fault for visitor in visitors if visitor.fault] == []
    answered, refused = sum(one.answered for one in visitors), sum(one.refused for one in visitors)
    assert (answered, refused) == (CLIENTS * ROUNDS * (PIPELINED + len(KINDS) - 1), CLIENTS * ROUNDS)
    request_ids = [each for visitor in visitors for each in visitor.request_ids]
    assert len(set(request_ids)) == len(request_ids)
    counted = server.stats()
    assert counted.responses == {"1xx": 0, "2xx": answered, "3xx": 0, "4xx": 0, "5xx": refused}
    wait_for(lambda: log.read_text().count("\n") == answered + refused, "a line for each request")
    assert len(set(log.read_text().splitlines())) == answered + refused
    assert capfd.readouterr().err.count("\nValueError: planted\n") == refused


def test_connections_that_come_and_go_leave_nothing(talk: Talk, wait_for: WaitFor) -> None:
    """Descriptors are used again at once: what is done to an old connection must not hit the one with its number."""
    server = talk.serve(application, threads=8, keep_alive=1, request_id="environ")

    def come_and_go(number: int) -> None:
        for turn in range(60):
            client, name = Client(server.address), f"{number}-{turn}"
            client.send(f"GET /whole?{name} HTTP/1.1\r\nHost: x\r\nX-Name: {name}\r\n\r\n".encode())
            if turn % 3:
                head, _ = client.read_response()
                assert f"\r\nX-Name: {name}\r\n".encode() in head
                good.append(name)
            client.sock.close()

    good: list[str] = []
    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(good) == CLIENTS * 40
    wait_for(lambda: server.stats().connections == 0, "the end of every connection")
