"""deploy/kit/prove/traffic.py: what becomes of a request is counted as what it is."""

import hashlib
import socket
import ssl
import threading
from contextlib import closing

import pytest
import trustme

from kit.prove.traffic import Client, Outcome, Traffic, connect, exchange, is_closed


@pytest.fixture
def serve():
    """serve(*responses): the address of a server that reads a request of each connection and sends one of these.

    A response of None closes the connection without a word.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def run(responses):
            for sent in responses:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(20)
                    for each in sent:
                        request = read_request(connection)
                        if each is None or not request:
                            break
                        body = request.partition(b"\r\n\r\n")[2]
                        content = each.replace(b"DIGEST", hashlib.sha256(body).hexdigest().encode())
                        connection.sendall(content)

        threads = []

        def start(*responses):
            threads.append(threading.Thread(target=run, args=(responses,)))
            threads[-1].start()
            return listener.getsockname()

        yield start
        for thread in threads:
            thread.join(20)


def read_request(connection):
    received = b""
    while b"\r\n\r\n" not in received:
        if not (piece := connection.recv(65536)):
            return received
        received += piece
    length = next(
        (int(line[15:]) for line in received.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(received.partition(b"\r\n\r\n")[2]) < length:
        received += connection.recv(65536)
    return received


def response(content, status=b"200 OK"):
    length = 64 if content == b"DIGEST" else len(content)
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, length, content)


@pytest.mark.parametrize(
    ("sent", "client", "outcome"),
    [
        (response(b"hello"), {"content": b"ell"}, Outcome.OK),
        (response(b"hello"), {"content": b"other"}, Outcome.WRONG),
        (response(b"DIGEST"), {"is_post": True}, Outcome.OK),
        (response(b"x" * 64), {"is_post": True}, Outcome.WRONG),
        (response(b"no", b"404 Not Found"), {}, Outcome.WRONG),
        (response(b"no", b"502 Bad Gateway"), {}, Outcome.ERROR),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", {}, Outcome.RESET),
        (None, {}, Outcome.RESET),
    ],
)
def test_response_is_judged(serve, sent, client, outcome):
    client = Client(serve([sent]), **client)
    with closing(connect(client)) as connection:
        assert exchange(connection, client, 1)[0] is outcome


def test_refused_connection_and_no_response_are_different(serve):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(silent.getsockname(), timeout=0.2)
        with closing(connect(client)) as connection:
            assert exchange(connection, client, 1)[0] is Outcome.TIMED_OUT
    with closing(connect(client)) as connection:
        assert exchange(connection, client, 1)[0] is Outcome.REFUSED


def test_connection_that_the_server_closes_is_replaced_and_its_request_sent_again(serve):
    good = response(b"hello")
    address = serve([good, None], [good] * 1000)
    with Traffic([Client(address, keeps_alive=True, interval=0.01, timeout=5)]) as traffic:
        while len(traffic.report().requests) < 5:
            pass
    report = traffic.report()
    assert not report.failed
    assert (report.reconnected, report.sent_again) == (1, 1)
    assert report.lines()[0].startswith(f"0 failed of {len(report.requests)}, slowest ")
    assert sum(total for _, total, _, _ in report.by_second()) == len(report.requests)


def test_connection_that_was_closed_is_noticed(serve):
    client = Client(serve([response(b"hello")]), keeps_alive=True)
    with closing(connect(client)) as connection:
        assert exchange(connection, client, 1)[0] is Outcome.OK
        while not is_closed(connection):
            pass


@pytest.fixture
def closed_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()


def test_address_that_takes_no_connection_is_passed_over(serve, closed_address):
    address = serve([response(b"hello")])
    client = Client(closed_address, others=(address,), content=b"hello")
    with closing(connect(client)) as connection:
        assert exchange(connection, client, 0)[0] is Outcome.OK
        assert connection.used == address[0]
    with closing(connect(client._replace(others=(closed_address,)))) as connection:
        assert exchange(connection, client, 0)[0] is Outcome.REFUSED


def test_address_that_ends_the_handshake_is_passed_over():
    """As an nginx that stops."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as stopping, socket.create_server(("127.0.0.1", 0)) as listener:

        def run():
            stopping.accept()[0].close()
            with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                read_request(connection)
                connection.sendall(response(b"hello"))

        thread = threading.Thread(target=run)
        thread.start()
        client = Client(stopping.getsockname(), is_https=True, others=(listener.getsockname(),), content=b"hello")
        with closing(connect(client)) as connection:
            assert exchange(connection, client, 0)[0] is Outcome.OK
        thread.join(20)
