"""What a client makes of the octets that it meets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from faults.client import Client, Request
from faults.outcomes import End

Scripted = Callable[..., tuple[str, int]]


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A server that answers the nth connection with what the nth list says, octets after each request, and closes."""
    with ExitStack() as stack:

        def start(*connections: list[bytes], is_silent: bool = False) -> tuple[str, int]:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            over = threading.Event()

            def serve() -> None:
                for answers in connections:
                    sock, _ = listener.accept()
                    with sock:
                        for answer in answers:
                            sock.recv(65536)
                            sock.sendall(answer)
                        if is_silent:
                            over.wait()

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join)
            stack.callback(over.set)
            return listener.getsockname()

        yield start


def ask(address: tuple[str, int], *, keeps: bool = True) -> tuple[End, int, bool]:
    client = Client(address, "client", keeps=keeps, patience=0.2)
    attempt = client.ask(Request(size=20))
    client.close()
    return attempt.end, attempt.status, attempt.is_right


def test_silence_is_told(scripted: Scripted) -> None:
    assert ask(scripted([b""], is_silent=True))[0] is End.SILENCE


def test_half_an_answer_and_silence_is_silence(scripted: Scripted) -> None:
    assert ask(scripted([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123"], is_silent=True))[0] is End.SILENCE


def test_an_answer_that_is_too_short_is_an_end(scripted: Scripted) -> None:
    assert ask(scripted([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123"]))[0] is End.EOF


def test_what_is_no_answer_is_garbled(scripted: Scripted) -> None:
    assert ask(scripted([b"<html>something else</html>"], is_silent=True))[0] is End.GARBLED


def test_an_answer_with_more_behind_it_is_garbled(scripted: Scripted) -> None:
    assert ask(scripted([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n123"], is_silent=True))[0] is End.GARBLED


def test_a_refusal_without_a_length_ends_with_its_connection(scripted: Scripted) -> None:
    assert ask(scripted([b"HTTP/1.0 503 Busy\r\n\r\nbusy"])) == (End.WHOLE, 503, False)


def test_somebody_elses_answer_is_not_right(scripted: Scripted) -> None:
    content = b"other-1 71 ".ljust(20, b".")
    assert ask(scripted([b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + content])) == (End.WHOLE, 200, False)


def test_nobody_listening_is_no_connection() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert ask(free.getsockname())[0] is End.UNREACHED


def test_a_connection_that_was_closed_before_is_opened_anew(scripted: Scripted) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    client = Client(scripted([answer], [answer]), "client", keeps=True, patience=5)
    first = client.ask(Request())
    while not client.is_closed_by_peer():
        pass
    second = client.ask(Request())
    client.close()
    assert (first.end, second.end) == (End.WHOLE, End.WHOLE)
    assert second.is_first
    assert client.closed_between == 1


def test_a_connection_that_the_answer_closes_is_not_used_again(scripted: Scripted) -> None:
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    client = Client(scripted([last], [last]), "client", keeps=True, patience=5)
    assert [client.ask(Request()).is_first for _ in range(2)] == [True, True]
    client.close()
    assert client.closed_between == 0
