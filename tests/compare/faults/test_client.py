"""What a client records for the bytes that it receives."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from faults.run.client import Client, Request
from faults.run.outcomes import End
from faults.run.processes import wait_for

Scripted = Callable[..., tuple[str, int]]
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A server that sends the bytes of the nth list on its nth connection, one after each request, and closes."""
    with ExitStack() as stack:

        def start(*connections: list[bytes], is_silent: bool = False) -> tuple[str, int]:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            over = threading.Event()

            def serve() -> None:
                for responses in connections:
                    sock, _ = listener.accept()
                    with sock:
                        for response in responses:
                            sock.recv(65536)
                            sock.sendall(response)
                        if is_silent:
                            over.wait()

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join)
            stack.callback(over.set)
            address: tuple[str, int] = listener.getsockname()
            return address

        yield start


def request(address: tuple[str, int], *, keeps_alive: bool = True) -> tuple[End, int, bool]:
    client = Client(address, "client", keeps_alive=keeps_alive, timeout=0.2)
    attempt = client.request(Request(size=20))
    client.close()
    return attempt.end, attempt.status, attempt.is_right


def test_silence_is_a_timeout(scripted: Scripted) -> None:
    assert request(scripted([b""], is_silent=True))[0] is End.TIMEOUT


def test_half_a_response_and_silence_is_a_timeout(scripted: Scripted) -> None:
    assert request(scripted([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123"], is_silent=True))[0] is End.TIMEOUT


def test_a_truncated_response_is_a_close(scripted: Scripted) -> None:
    assert request(scripted([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123"]))[0] is End.CLOSED


def test_anything_but_a_response_is_malformed(scripted: Scripted) -> None:
    assert request(scripted([b"<html>something else</html>"], is_silent=True))[0] is End.MALFORMED


def test_a_response_with_bytes_after_it_is_malformed(scripted: Scripted) -> None:
    assert request(scripted([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n123"], is_silent=True))[0] is End.MALFORMED


def test_an_error_response_without_a_length_ends_with_its_connection(scripted: Scripted) -> None:
    assert request(scripted([b"HTTP/1.0 503 Busy\r\n\r\nbusy"])) == (End.COMPLETE, 503, False)


def test_the_response_of_another_request_is_not_right(scripted: Scripted) -> None:
    content = b"other-1 71 ".ljust(20, b".")
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + content
    assert request(scripted([response])) == (End.COMPLETE, 200, False)


def test_a_port_without_a_listener_is_not_connected() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert request(free.getsockname())[0] is End.NOT_CONNECTED


def test_a_connection_closed_between_two_requests_is_replaced(scripted: Scripted) -> None:
    client = Client(scripted([EMPTY], [EMPTY]), "client", keeps_alive=True, timeout=5)
    first = client.request(Request())
    while not client.is_closed_by_peer():
        pass
    second = client.request(Request())
    client.close()
    assert (first.end, second.end) == (End.COMPLETE, End.COMPLETE)
    assert second.is_first
    assert client.closed_between == 1


def test_a_connection_that_the_response_closes_is_not_used_again(scripted: Scripted) -> None:
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    client = Client(scripted([last], [last]), "client", keeps_alive=True, timeout=5)
    assert [client.request(Request()).is_first for _ in range(2)] == [True, True]
    client.close()
    assert client.closed_between == 0


def test_what_a_client_sipped_is_part_of_its_response(scripted: Scripted) -> None:
    client = Client(scripted([b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"]), "client", keeps_alive=True)
    assert client.send(Request()) is None
    assert wait_for(lambda: client.sip(10) == 10)
    attempt = client.receive()
    client.close()
    assert (attempt.end, attempt.status) == (End.COMPLETE, 503)
    assert attempt.received_bytes == 44


def test_a_sip_does_not_wait(scripted: Scripted) -> None:
    client = Client(scripted([b""], is_silent=True), "client", keeps_alive=True, timeout=3600)
    assert client.send(Request()) is None
    assert client.sip(10) == 0
    client.close()
