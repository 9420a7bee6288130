"""One client with one connection: it sends a request and records exactly what it observes.

It never retries. If the server closes a keep-alive connection between two requests, the client notices that before it
sends the next one and opens a new connection, so that no request is at risk.
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from faults.run.outcomes import Attempt, End

TIMEOUT = 8.0
"""Seconds after which a request counts as timed out: far more than any request here is asked to take."""

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")
_CLOSE = re.compile(rb"(?i)\r\nconnection: *close\r\n")
_MIN_STATUS_BYTES = 16  # from which on a response must begin with a status line

_number = count()


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the application in `target.py`."""

    path: str = "/work"
    milliseconds: int = 0  # for which the application runs
    size: int = 100  # bytes of the response
    content_bytes: int = 0  # of the request; if any, it is a POST

    def encode(self, token: str, is_last: bool) -> bytes:
        method = "POST" if self.content_bytes else "GET"
        query = f"token={token}&ms={self.milliseconds}&size={self.size}"
        head = f"{method} {self.path}?{query} HTTP/1.1\r\nHost: faults\r\n"
        if self.content_bytes:
            head += f"Content-Length: {self.content_bytes}\r\n"
        if is_last:
            head += "Connection: close\r\n"
        return head.encode() + b"\r\n" + content_for(token, self.content_bytes)


def content_for(token: str, size: int) -> bytes:
    """The content of a request: its token, repeated."""
    return (token.encode() * (size // len(token) + 1))[:size]


def new_token(name: str) -> str:
    return f"{name}-{next(_number)}"


class Client:
    """Used by one thread. With `keeps_alive` it reuses its connection for as long as the server allows."""

    def __init__(
        self,
        address: tuple[str, int],
        name: str,
        *,
        keeps_alive: bool,
        timeout: float = TIMEOUT,
        receive_buffer: int = 0,  # bytes that the kernel keeps of a response; 0: as many as it likes
    ) -> None:
        self._address = address
        self._name = name
        self._keeps_alive = keeps_alive
        self._timeout = timeout
        self._receive_buffer = receive_buffer
        self._received = b""  # of the response, by `sip`
        self._sock: socket.socket | None = None
        self._is_first = True
        self.closed_between = 0  # times that the server closed the connection before a request was sent
        self._token = ""
        self._request = Request()
        self._began = 0.0
        self._port = 0
        self._is_probe = False

    def request(self, request: Request, *, is_probe: bool = False) -> Attempt:
        """Send a request and wait for its response."""
        failed = self.send(request, is_probe=is_probe)
        return failed if failed is not None else self.receive()

    def send(self, request: Request, *, is_probe: bool = False) -> Attempt | None:
        """Send all of the request; if that fails, return the attempt, which is over."""
        self._token, self._request, self._is_probe = new_token(self._name), request, is_probe
        self._began = time.monotonic()
        self._received = b""
        try:
            sock = self._connected()
        except OSError:
            self.close()
            return self._attempt(End.NOT_CONNECTED)
        self._port = sock.getsockname()[1]
        try:
            sock.sendall(request.encode(self._token, not self._keeps_alive))
        except TimeoutError:
            return self._failed(End.TIMEOUT)
        except OSError:
            return self._failed(End.RESET)
        return None

    @property
    def token(self) -> str:
        """Of the last request."""
        return self._token

    def sip(self, size: int) -> int:
        """Take at most that much of what has come of the response; return how much `receive` has of it by now."""
        assert self._sock is not None
        self._sock.setblocking(False)  # with a timeout, Python waits before it calls the kernel
        with suppress(OSError):  # nothing is there, or `receive` reports it
            self._received += self._sock.recv(size)
        return len(self._received)

    def detach(self) -> socket.socket:
        """Hand the connection over, with the response to what was sent: the client does not use it any more."""
        sock, self._sock = self._sock, None
        assert sock is not None
        return sock

    def receive(self) -> Attempt:
        """Wait for the response to what was sent, or for what comes in its place."""
        sock, received = self._sock, self._received
        assert sock is not None
        deadline = time.monotonic() + self._timeout
        while True:
            head, found, rest = received.partition(b"\r\n\r\n")
            length = _LENGTH.search(head + b"\r\n") if found else None
            if length and len(rest) >= int(length[1]):
                return self._completed(head + b"\r\n", rest, int(length[1]), len(received))
            if len(received) > _MIN_STATUS_BYTES and not _STATUS.match(received):
                return self._failed(End.MALFORMED, len(received))
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = sock.recv(65536)
            except TimeoutError:
                return self._failed(End.TIMEOUT, len(received))
            except OSError:
                return self._failed(End.RESET, len(received))
            if not data:
                if found and not length:  # a response without a length ends with its connection
                    return self._completed(head + b"\r\n", rest, len(rest), len(received))
                return self._failed(End.CLOSED, len(received))
            received += data

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _connected(self) -> socket.socket:
        """The connection, opened if there is none. Raises `OSError`."""
        if self._sock is not None and self.is_closed_by_peer():
            self.closed_between += 1
            self.close()
        self._is_first = self._sock is None
        if self._sock is None:
            self._port = 0
            self._sock = self._connect()
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.settimeout(self._timeout)
        return self._sock

    def _connect(self) -> socket.socket:
        sock = socket.socket()
        try:
            if self._receive_buffer:  # before it connects: it limits the window from the beginning
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            sock.settimeout(self._timeout)
            sock.connect(self._address)
        except BaseException:
            sock.close()
            raise
        return sock

    def is_closed_by_peer(self) -> bool:
        """Whether the server closed the connection. Unrequested bytes are left for `receive`, which reports them."""
        assert self._sock is not None
        self._sock.setblocking(False)
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _completed(self, head: bytes, rest: bytes, length: int, received_bytes: int) -> Attempt:
        status, content = _STATUS.match(head), rest[:length]
        if status is None or len(rest) > length:
            return self._failed(End.MALFORMED, received_bytes)
        if not self._keeps_alive or _CLOSE.search(head) or not _LENGTH.search(head):
            self.close()
        words = content.split(b" ", 2)
        pid = int(words[1]) if len(words) == 3 and words[1].isdigit() else 0
        expected = f"{self._token} {pid} ".encode().ljust(self._request.size, b".")
        return self._attempt(End.COMPLETE, received_bytes, int(status[1]), content == expected, pid)

    def _failed(self, end: End, received_bytes: int = 0) -> Attempt:
        self.close()
        return self._attempt(end, received_bytes)

    def _attempt(
        self, end: End, received_bytes: int = 0, status: int = 0, is_right: bool = False, pid: int = 0
    ) -> Attempt:
        return Attempt(
            token=self._token,
            port=self._port,
            began=self._began,
            ended=time.monotonic(),
            end=end,
            is_first=self._is_first,
            received_bytes=received_bytes,
            status=status,
            is_right=is_right,
            pid=pid,
            requested_seconds=self._request.milliseconds / 1000,
            is_probe=self._is_probe,
        )
