"""The open loop counts from the intended start, and counts what did not come."""

import socket
import threading
from contextlib import contextmanager

from bench import steady
from bench.syscalls import parse_perf, parse_strace

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def answering(answer, connections):
    """A server that gives each request on so many connections this answer."""
    threads = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(sock):
            with sock:
                while sock.recv(65536):
                    sock.sendall(answer)

        def accept():
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


def test_every_request_is_sent_and_counted():
    with answering(GOOD, 2) as address:
        told = steady.run(address, "/", rate=200, seconds=0.2, connections=2)
    assert told["requests"] == 40
    assert told["failures"] == 0
    assert 0 < told["p50"] <= told["p99"] <= told["longest"]


def test_a_bad_status_is_a_failure():
    with answering(GOOD.replace(b"200 OK", b"500 No"), 4) as address:
        told = steady.run(address, "/", rate=100, seconds=0.04, connections=4)
    assert told["requests"] == 0
    assert told["failures"] == 4


def test_an_answer_in_pieces_is_one_answer():
    peer = steady.Peer.__new__(steady.Peer)
    peer.buffer, peer.wanted = b"", 0
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer.sock = ours
        found = []
        for octet in GOOD:
            theirs.send(bytes([octet]))
            found.append(peer.take())
    assert found == [None] * (len(GOOD) - 1) + [True]


def test_percentiles_of_few_values():
    assert steady.percentile([], 0.99) == 0
    assert steady.percentile([1.0], 0.99) == 1
    assert steady.percentile([float(number) for number in range(100)], 0.99) == 99


def test_the_counts_of_perf_are_read_by_event():
    output = "# started\n\n3000,,raw_syscalls:sys_enter,1,100.00,,\n1000,,syscalls:sys_enter_sendto,1,100.00,,\n"
    assert parse_perf(output) == {"raw_syscalls:sys_enter": 3000, "sendto": 1000}
    assert parse_perf("<not supported>,,raw_syscalls:sys_enter,0,100.00,,\n") == {}


def test_the_counts_of_strace_are_read_by_call():
    output = (
        "% time     seconds  usecs/call     calls    errors syscall\n"
        "------ ----------- ----------- --------- --------- ----------------\n"
        " 60.00    0.100000           1      1000        10 recvfrom\n"
        " 40.00    0.050000           1      2000           sendto\n"
        "100.00    0.150000                  3000        10 total\n"
    )
    assert parse_strace(output) == {"recvfrom": 1000, "sendto": 2000}
