"""The open loop counts from the moment at which a request was due, and counts missing responses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bench.loads import open_loop
from bench.loads.connection import Connection
from bench.profile.syscalls import parse_perf, parse_strace

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def serving(response: bytes, connections: int) -> Iterator[tuple[str, int]]:
    """A server that sends this response to each request on that many connections."""
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(sock: socket.socket) -> None:
            with sock:
                while sock.recv(65536):
                    sock.sendall(response)

        def accept() -> None:
            for _ in range(connections):
                sock, _ = listener.accept()
                threads.append(threading.Thread(target=serve, args=(sock,)))
                threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        yield listener.getsockname()
        acceptor.join()
        for thread in threads:
            thread.join()


def test_every_request_is_sent_and_counted() -> None:
    with serving(OK, 2) as address:
        found = open_loop.run(address, "/", rate=200, seconds=0.2, connections=2)
    assert found["requests"] == 40
    assert found["failures"] == 0
    assert 0 < found["p50"] <= found["p99"] <= found["longest"]


def test_an_error_response_is_a_failure() -> None:
    with serving(OK.replace(b"200 OK", b"500 No"), 4) as address:
        found = open_loop.run(address, "/", rate=100, seconds=0.04, connections=4)
    assert found["requests"] == 0
    assert found["failures"] == 4


def test_a_response_may_arrive_in_pieces() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(listener.getsockname())
        theirs, _ = listener.accept()
    found = []
    with connection.sock, theirs:
        theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock.setblocking(True)
        for byte in OK:
            theirs.send(bytes([byte]))
            found.append(connection.read())
    assert found == [None] * (len(OK) - 1) + [True]


def test_percentiles_of_few_values() -> None:
    assert open_loop.percentile([], 0.99) == 0
    assert open_loop.percentile([1.0], 0.99) == 1
    assert open_loop.percentile([float(number) for number in range(100)], 0.99) == 99


def test_the_output_of_perf_is_parsed_by_event() -> None:
    output = "# started\n\n3000,,raw_syscalls:sys_enter,1,100.00,,\n1000,,syscalls:sys_enter_sendto,1,100.00,,\n"
    assert parse_perf(output) == {"raw_syscalls:sys_enter": 3000, "sendto": 1000}
    assert parse_perf("<not supported>,,raw_syscalls:sys_enter,0,100.00,,\n") == {}


def test_the_output_of_strace_is_parsed_by_call() -> None:
    output = (
        "% time     seconds  usecs/call     calls    errors syscall\n"
        "------ ----------- ----------- --------- --------- ----------------\n"
        " 60.00    0.100000           1      1000        10 recvfrom\n"
        " 40.00    0.050000           1      2000           sendto\n"
        "100.00    0.150000                  3000        10 total\n"
    )
    assert parse_strace(output) == {"recvfrom": 1000, "sendto": 2000}
