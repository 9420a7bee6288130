"""Clients that send bodies, or read responses, slowly or never: the others are served, and learn what is wrong."""

import contextlib
import select
import socket
import ssl
import struct

import pytest

pytestmark = pytest.mark.docker

MIB = 1 << 20
ROOM = 32 * MIB
UPLOAD = 4 * MIB
VARIABLES = {
    "UPLOAD_PATHS": "/upload",
    "UPLOAD_SIZE": f"{UPLOAD}",
    "BODY_ROOM": f"{ROOM}",
    "RESPONSE_ROOM": "16m",
    # so that a request can say which client it is of: to nginx, all connections come from the engine's address
    "TRUSTED_PROXIES": "0.0.0.0/1,128.0.0.0/1",
}
BAD = "192.0.2.99"


@pytest.fixture(scope="module", params=["gunicorn", "ropewalk"])
def stack(start_stack, request):
    started = start_stack("plain", BACKEND=request.param, **VARIABLES)
    started.up()
    return started


def client(number):
    return {"X-Forwarded-For": f"192.0.2.{number}"}


class Uploads:
    """Requests whose bodies do not end."""

    def __init__(self, connections):
        self._received = dict.fromkeys(connections, b"")

    def statuses(self):
        """Of those that have a response by now."""
        for connection in select.select(list(self._received), [], [], 0)[0]:
            with contextlib.suppress(ConnectionResetError):
                self._received[connection] += connection.recv(65536)
        return [int(response.split()[1]) for response in self._received.values() if b" " in response[:13]]


@contextlib.contextmanager
def unfinished_uploads(stack, clients, octets):
    """An upload of each client, of which so many octets are sent."""
    port = stack.port
    with contextlib.ExitStack() as stacked:
        connections = []
        for address in clients:
            connections.append(stacked.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)))
            head = f"POST /upload HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\nContent-Length: {UPLOAD}\r\n\r\n"
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connections[-1].sendall(head.encode())
                connections[-1].sendall(b"x" * octets)
        yield Uploads(connections)


def room_in_use(stack):
    done = stack.compose("exec", "-T", "nginx", "df", "--block-size=1", "--output=used", "/srv/bodies")
    return int(done.stdout.split()[-1])


def test_unfinished_uploads_of_one_client_leave_room_for_all_others(stack, wait):
    # a half of the room
    refused = [429] * (47 - ROOM // 2 // UPLOAD)
    with unfinished_uploads(stack, [BAD] * 47, UPLOAD - 1) as uploads:
        wait(lambda: uploads.statuses() == refused, f"{len(refused)} are refused")
        answer = stack.request("/upload", method="POST", content=b"x" * 1000, headers={"X-Forwarded-For": BAD})
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert room_in_use(stack) <= ROOM // 2
        for number in range(1, 25):
            answer = stack.request("/upload", method="POST", content=b"x" * UPLOAD, headers=client(number))
            assert (answer.status, answer.content) == (200, f"{UPLOAD}".encode())
        answer = stack.request(f"/download?size={8 * MIB}", headers=client(1))
        assert (answer.status, len(answer.content)) == (200, 8 * MIB)
        assert stack.request("/environ", headers={"X-Forwarded-For": BAD}).status == 200


def test_upload_without_room_gets_a_page_that_asks_to_come_back(stack, wait):
    many = [f"198.51.100.{number}" for number in range(ROOM // UPLOAD)]
    with unfinished_uploads(stack, many, UPLOAD - 1) as uploads:
        # all but what is in nginx's buffers
        wait(lambda: room_in_use(stack) >= ROOM - len(many) * 65536, "the room is full")
        assert not uploads.statuses()
        answer = stack.request("/upload", method="POST", content=b"x" * UPLOAD, headers=client(1))
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert b"Server busy" in answer.content
        # forms, pages and downloads need none
        assert stack.request("/upload", method="POST", content=b"x" * 8192, headers=client(1)).content == b"8192"
        assert stack.request(f"/download?size={8 * MIB}", headers=client(1)).status == 200
    wait(lambda: room_in_use(stack) == 0, "the room is empty")
    assert stack.request("/upload", method="POST", content=b"x" * UPLOAD, headers=client(1)).status == 200


def test_upload_may_be_as_large_as_its_path_allows(stack):
    for path, size, status in (
        ("/upload", UPLOAD, 200),
        ("/upload", UPLOAD + 1, 413),
        ("/upload/x", UPLOAD, 404),
        ("/uploads", 3 * MIB, 404),
        ("/uploads", 3 * MIB + 1, 413),
    ):
        answer = stack.request(path, method="POST", content=b"x" * size, headers=client(1))
        assert answer.status == status, path
        assert (b"larger than this site accepts" in answer.content) is (status == 413)


def test_server_leaves_the_application_room_in_its_tmp(stack, execute):
    app = ("docker", "exec", stack.container("app"), "cat")
    pid = execute(*app, "/tmp/backend.pid").stdout.strip()
    command = execute(*app, f"/proc/{pid}/cmdline").stdout.split("\0")
    if stack.environment["BACKEND"] == "ropewalk":
        assert command[command.index("--limit-request-body") + 1] == f"{UPLOAD}"
        assert command[command.index("--limit-request-bodies") + 1] == f"{ROOM // 8 * 3}"
        assert command[command.index("--limit-buffered-responses") + 1] == f"{ROOM // 8 * 2}"


def test_slow_downloads_of_one_client_leave_the_others_theirs(stack):
    size = MIB
    head = f"GET /download?size={size} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {BAD}\r\n\r\n"
    with contextlib.ExitStack() as connections:
        for _ in range(100):
            connection = connections.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", stack.port))
            connection.sendall(head.encode())
        for number in range(1, 25):
            answer = stack.request(f"/download?size={size}", headers=client(number))
            assert (answer.status, len(answer.content)) == (200, size)
        assert stack.request("/upload", method="POST", content=b"x" * UPLOAD, headers=client(1)).status == 200


def frame(kind, flags, content=b"", stream=1):
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


def http2(stack, method, path, body, *fields):
    """The status of one request over HTTP/2, whose body has no Content-Length unless it is among the fields."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    pseudo = ((":method", method), (":scheme", "https"), (":path", path), (":authority", "a"), ("accept-encoding", "x"))
    head = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in (*pseudo, *fields)
    )
    plain = socket.create_connection(("127.0.0.1", stack.tls_port), timeout=30)
    with context.wrap_socket(plain) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, stream=0))
        connection.sendall(frame(1, 4 if body else 5, head))
        if body:
            connection.sendall(b"".join(frame(0, 0, body[at : at + 8192]) for at in range(0, len(body), 8192)))
            connection.sendall(frame(0, 1))
        received = connection.makefile("rb")
        while header := received.read(9):
            content = received.read(int.from_bytes(header[:3], "big"))
            if header[3] == 1:
                return STATUSES.get(content[:1]) or int(content[2:5])
    raise AssertionError("there is no response")


STATUSES = {b"\x88": 200, b"\x8d": 404}  # in HPACK's static table (RFC 7541, appendix A); others are written out


def test_body_that_nothing_announces_never_takes_room(stack, wait):
    """Over HTTP/2 a GET may have a body without any field that says so: no limit of requests with a body counts it."""
    for method in ("GET", "HEAD", "OPTIONS"):
        assert http2(stack, method, "/environ", b"") == 200
        assert http2(stack, method, "/environ", b"x" * 32 * 1024) == 200
        for path in ("/environ", "/upload", "/static/no-file"):
            assert http2(stack, method, path, b"x" * (32 * 1024 + 1)) == 413
    # as a POST, or with its length, it is counted
    assert http2(stack, "POST", "/upload", b"x" * 60_000) == 200
    assert http2(stack, "GET", "/upload", b"x" * 60_000, ("content-length", "60000")) == 200
    with unfinished_uploads(stack, [BAD] * (ROOM // 2 // UPLOAD + 1), UPLOAD - 1) as uploads:
        wait(lambda: uploads.statuses() == [429], "the others are counted")
        client_of = ("x-forwarded-for", BAD)
        assert http2(stack, "POST", "/upload", b"x" * 60_000, client_of) == 429
        assert http2(stack, "GET", "/upload", b"x" * 60_000, client_of, ("content-length", "60000")) == 429
        assert http2(stack, "GET", "/upload", b"", client_of) == 200
