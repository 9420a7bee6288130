"""HTTP/2 at the kit's nginx: streams that are reset as fast as they are opened (CVE-2023-44487)."""

import contextlib
import json
import socket
import ssl
import struct

import pytest

from tests.kit.test_uploads import frame

pytestmark = pytest.mark.docker

MOST = 1000  # keepalive_requests: what one connection may ask for


def reset_streams(port, number, path, *, reads=True):
    """Opens so many streams with a GET, and resets each at once; returns what nginx sends until it closes.

    A client that does not read closes it at once.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    name = path.encode()
    # :method GET and :scheme https of the static table; then :path and :authority, written out (RFC 7541)
    head = b"\x82\x87\x04" + bytes([len(name)]) + name + b"\x01\x01a"
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    received = b""
    with context.wrap_socket(plain) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, stream=0))
        with contextlib.suppress(OSError):
            for first in range(0, number, 100):
                streams = range(2 * first + 1, 2 * (first + 100), 2)
                cancel = struct.pack(">I", 8)
                pairs = (frame(1, 5, head, each) + frame(3, 0, cancel, each) for each in streams)
                connection.sendall(b"".join(pairs))
        with contextlib.suppress(OSError):
            connection.settimeout(5)
            while reads and (data := connection.recv(65536)):
                received += data
    return received


def test_streams_that_are_reset_at_once_are_bounded_and_the_site_goes_on(new_stack, wait):
    stack = new_stack("plain", BACKEND="ropewalk", RATE_LIMIT="0", CONNECTION_LIMIT="0")
    stack.up()
    received = reset_streams(stack.tls_port, 5 * MOST, "/environ?reset")
    kinds = set()
    while len(received) >= 9:
        kinds.add(received[3])
        received = received[9 + int.from_bytes(received[:3], "big") :]
    assert 7 in kinds, "nginx says that the connection ends (GOAWAY)"
    assert stack.request("/environ").status == 200

    def logged():
        lines = [json.loads(line) for line in stack.logs("nginx").splitlines() if '"/environ?reset"' in line]
        return [line for line in lines if line["protocol"] == "HTTP/2.0"]

    wait(logged, "nginx has logged them")
    assert len(logged()) <= MOST + 128  # and those that were on their way: http2_max_concurrent_streams


def test_client_that_has_gone_is_logged_as_that(new_stack, wait):
    stack = new_stack("plain", BACKEND="ropewalk", RATE_LIMIT="1")
    stack.up()

    def statuses():
        lines = [json.loads(line) for line in stack.logs("nginx").splitlines() if '"/environ?reset"' in line]
        return {line["status"] for line in lines if not line["upstream"]}

    def are_logged():
        reset_streams(stack.tls_port, 500, "/environ?reset", reads=False)
        return statuses()

    wait(lambda: 499 in are_logged(), "some ended before a container was asked")
    assert statuses() <= {429, 499}
