"""Constant traffic, each request of which is counted by what became of it.

    with Traffic([Client(...), ...]) as traffic:
        ...                                       # whatever must lose no request
    print(traffic.report())

Each client is a thread that sends a request every `interval` seconds: by GET or POST, over HTTP or HTTPS, on a
connection that it keeps or on a new one. A POST has a body whose digest is checked.

A server may close an idle connection at any time, so a client that keeps one looks whether that has happened before it
sends. If it happens while a request is on its way, the request is sent again on a new connection, once, as browsers,
curl and the libraries do: not an octet of a response came, so nginx has not read it (RFC 9112, section 9.3.1). These
are counted too (`sent_again`). In any other case a request that got no response has failed.
"""

import enum
import functools
import hashlib
import http.client
import itertools
import select
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Self

CONNECT_TIMEOUT = 2.0  # seconds, for one of several addresses


class Outcome(enum.Enum):
    OK = "ok"
    WRONG = "wrong"
    """A status that was not expected, or another body than the right one."""
    ERROR = "5xx"
    REFUSED = "refused"
    RESET = "reset"
    """The connection ended before the response did."""
    TIMED_OUT = "timed out"


class Request(NamedTuple):
    """One that was sent, and what became of it."""

    started: float
    """Seconds since the start of the traffic."""
    seconds: float
    client: str
    outcome: Outcome
    detail: str
    """The status, or the error. Empty for OK."""
    address: str = ""
    """That it was sent to, if there are others."""


class Client(NamedTuple):
    """What a thread sends."""

    address: tuple[str, int]
    target: str = "/"
    is_post: bool = False
    """With a body of `body_size` octets, another one each time, whose SHA-256 the response contains in hexadecimal."""
    keeps_alive: bool = False
    is_https: bool = False
    """The certificate is not verified: this counts responses."""
    host: str = "localhost"
    interval: float = 0.02
    timeout: float = 30.0
    body_size: int = 2048
    content: bytes = b""
    """Has to be in each response."""
    others: tuple[tuple[str, int], ...] = ()
    """More addresses: one that takes no connection is passed over, as a load balancer does."""

    @property
    def name(self) -> str:
        scheme = "https" if self.is_https else "http"
        return f"{'POST' if self.is_post else 'GET'} {scheme} {'keep-alive' if self.keeps_alive else 'new'}"


class Report(NamedTuple):
    requests: list[Request]
    reconnected: int
    """Connections that the server closed while they were idle."""
    sent_again: int
    """Requests that met such a close on their way."""

    @property
    def failed(self) -> list[Request]:
        return [request for request in self.requests if request.outcome is not Outcome.OK]

    @property
    def slowest(self) -> float:
        """Seconds."""
        return max((request.seconds for request in self.requests), default=0.0)

    def counts(self) -> Counter[Outcome]:
        return Counter(request.outcome for request in self.requests)

    def by_second(self) -> list[tuple[int, int, int, float]]:
        """For each second: the second, its requests, the failed ones, how many seconds the slowest took."""
        rows = []
        ordered = sorted(self.requests, key=lambda request: request.started)
        for second, group in itertools.groupby(ordered, key=lambda request: int(request.started)):
            requests = list(group)
            failed = sum(request.outcome is not Outcome.OK for request in requests)
            rows.append((second, len(requests), failed, max(request.seconds for request in requests)))
        return rows

    def lines(self) -> list[str]:
        """One line for all, one for each kind of client, and the first failures."""
        lines = [f"{len(self.failed)} failed of {len(self.requests)}, slowest {self.slowest:.3f} s"]
        if self.reconnected:
            again = (
                f"; {self.sent_again} requests met that on their way, and were sent again" if self.sent_again else ""
            )
            lines.append(f"  {self.reconnected} kept connections were closed by the server{again}")
        for name in sorted({request.client for request in self.requests}):
            own = self._replace(requests=[request for request in self.requests if request.client == name])
            counts = own.counts()
            counted = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome])
            lines.append(f"  {name}: {counted}, slowest {own.slowest:.3f} s")
        for request in sorted(self.failed, key=lambda request: request.started)[:10]:
            lines.append(f"  at {request.started:.2f} s: {request.client}: {request.outcome.value}: {request.detail}")
        return lines


class Traffic:
    """Starts with the block, and has ended with it."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = clients
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        """Under the lock."""
        self._reconnected = 0
        """Under the lock."""
        self._sent_again = 0
        """Under the lock."""

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._threads = [
            threading.Thread(target=self._run, args=(client,), name=client.name, daemon=True)
            for client in self._clients
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread, client in zip(self._threads, self._clients, strict=True):
            thread.join(client.timeout + 10)

    def report(self) -> Report:
        """Of what has ended so far."""
        with self._lock:
            return Report(list(self._requests), self._reconnected, self._sent_again)

    def _run(self, client: Client) -> None:
        connection: http.client.HTTPConnection | None = None
        due = time.monotonic()
        for number in itertools.count():
            # A slow response delays the next request, but not those after it.
            due = max(due + client.interval, time.monotonic() - client.interval)
            if self._stopping.wait(max(due - time.monotonic(), 0)):
                break
            if connection and is_closed(connection):
                self._close(connection)
                connection = None
            started = time.monotonic()
            try:
                is_kept = connection is not None
                connection = connection or connect(client)
                outcome, detail, stays = exchange(connection, client, number, is_kept=is_kept)
            except ClosedWhileIdleError:
                self._close(connection, is_sent_again=True)
                connection = connect(client)
                outcome, detail, stays = exchange(connection, client, number)
            with self._lock:
                ended = time.monotonic()
                address = connection.used if isinstance(connection, Balanced) else ""
                request = Request(started - self._began, ended - started, client.name, outcome, detail, address)
                self._requests.append(request)
            if not stays:
                connection.close()
                connection = None
        if connection:
            connection.close()

    def _close(self, connection: http.client.HTTPConnection | None, *, is_sent_again: bool = False) -> None:
        """Closes one that the server has closed."""
        if connection:
            connection.close()
        with self._lock:
            self._reconnected += 1
            self._sent_again += is_sent_again


class ClosedWhileIdleError(Exception):
    """A kept connection ended before anything of the response: the server had closed it."""


class Balanced(http.client.HTTPConnection):
    """A connection to the first of several addresses that takes one."""

    def __init__(self, client: Client) -> None:
        super().__init__(*client.address, timeout=client.timeout)
        self._addresses = (client.address, *client.others)
        self._is_https = client.is_https
        self.used = ""

    def connect(self) -> None:
        refused: OSError | None = None
        for address in self._addresses:
            try:
                self.sock = self._open(address)
            except OSError as error:
                refused = error
                continue
            self.sock.settimeout(self.timeout)
            self.used = address[0]
            return
        raise refused or OSError("no address")

    def _open(self, address: tuple[str, int]) -> socket.socket:
        opened = socket.create_connection(address, CONNECT_TIMEOUT)
        if not self._is_https:
            return opened
        try:
            return tls().wrap_socket(opened)
        except OSError:
            opened.close()
            raise


def connect(client: Client) -> http.client.HTTPConnection:
    if client.others:
        return Balanced(client)
    if not client.is_https:
        return http.client.HTTPConnection(*client.address, timeout=client.timeout)
    return http.client.HTTPSConnection(*client.address, timeout=client.timeout, context=tls())


@functools.cache
def tls() -> ssl.SSLContext:
    """Without the machine's authorities: to load them takes longer than a request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def is_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has ended the connection, or sent something without having been asked."""
    if connection.sock is None:
        return True
    return bool(select.select([connection.sock], [], [], 0)[0])


def exchange(
    connection: http.client.HTTPConnection, client: Client, number: int, *, is_kept: bool = False
) -> tuple[Outcome, str, bool]:
    """Sends a request; what became of it, why, and whether the connection can have another one.

    `is_kept`: it is not the first on its connection. Raises ClosedWhileIdleError then.
    """
    body = make_body(number, client.body_size) if client.is_post else None
    headers = {"Host": client.host, "Connection": "keep-alive" if client.keeps_alive else "close"}
    try:
        try:
            connection.request("POST" if client.is_post else "GET", client.target, body, headers)
            response = connection.getresponse()
        except (ConnectionResetError, BrokenPipeError):
            if is_kept:
                raise ClosedWhileIdleError from None
            raise
        content = response.read()
    except ConnectionRefusedError:
        return Outcome.REFUSED, "connection refused", False
    except TimeoutError:
        return Outcome.TIMED_OUT, f"no response within {client.timeout:.0f} s", False
    except (OSError, http.client.HTTPException) as error:
        return Outcome.RESET, f"{type(error).__name__}: {error}", False
    stays = client.keeps_alive and not response.will_close
    if response.status >= 500:
        return Outcome.ERROR, f"status {response.status}", stays
    wanted = hashlib.sha256(body).hexdigest().encode() if body else b""
    if response.status >= 400 or wanted not in content or client.content not in content:
        return Outcome.WRONG, f"status {response.status}, {content[:80]!r}", stays
    return Outcome.OK, "", stays


def make_body(number: int, size: int) -> bytes:
    """A body that no other request of the client has."""
    return f"{number:012d}:".encode().ljust(size, b"x")
