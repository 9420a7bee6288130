"""One client and its connection: it sends a request, and keeps exactly what it saw.

It asks for nothing twice. A kept connection that the server has closed between two requests is found closed before the
next one is written, as a good client finds it, and is opened anew without a request being at risk.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from dataclasses import dataclass
from itertools import count

from faults.outcomes import Attempt, End

PATIENCE = 8.0
"""Seconds after which a request hangs: far over what anything here is asked to take."""

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")
_CLOSE = re.compile(rb"(?i)\r\nconnection: *close\r\n")
_ABORT = struct.pack("ii", 1, 0)

_number = count()


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask of the application: `target.py` says what it does with it."""

    path: str = "/work"
    milliseconds: int = 0  # that it takes
    size: int = 100  # octets that it answers
    content: int = 0  # octets that are sent; a POST when there are any

    def encode(self, token: str, is_last: bool) -> bytes:
        method = "POST" if self.content else "GET"
        query = f"token={token}&ms={self.milliseconds}&size={self.size}"
        head = f"{method} {self.path}?{query} HTTP/1.1\r\nHost: faults\r\n"
        if self.content:
            head += f"Content-Length: {self.content}\r\n"
        if is_last:
            head += "Connection: close\r\n"
        return head.encode() + b"\r\n" + body_of(token, self.content)


def body_of(token: str, octets: int) -> bytes:
    """The content of a request: its token, over and over."""
    return (token.encode() * (octets // len(token) + 1))[:octets]


def new_token(name: str) -> str:
    return f"{name}-{next(_number)}"


class Client:
    """One thread's. `keeps` its connection for the next request as long as the server does."""

    def __init__(self, address: tuple[str, int], name: str, *, keeps: bool, patience: float = PATIENCE) -> None:
        self._address = address
        self._name = name
        self._keeps = keeps
        self._patience = patience
        self._sock: socket.socket | None = None
        self._is_first = True
        self.closed_between = 0  # times that the server had closed the connection before a request was written
        self._token = ""
        self._request = Request()
        self._began = 0.0
        self._port = 0
        self._is_special = False

    def ask(self, request: Request, *, is_special: bool = False) -> Attempt:
        """Send, and wait for what comes of it."""
        failed = self.send(request, is_special=is_special)
        return failed if failed is not None else self.receive()

    def send(self, request: Request, *, is_special: bool = False) -> Attempt | None:
        """Write the request whole; an attempt that is over already when that could not be."""
        self._token, self._request, self._is_special = new_token(self._name), request, is_special
        self._began = time.monotonic()
        try:
            sock = self._connected()
        except OSError:
            self.close()
            return self._attempt(End.UNREACHED)
        self._port = sock.getsockname()[1]
        try:
            sock.sendall(request.encode(self._token, not self._keeps))
        except TimeoutError:
            return self._over(End.SILENCE)
        except OSError:
            return self._over(End.RESET)
        return None

    def receive(self) -> Attempt:
        """The answer to what was sent, or what came in its place."""
        sock, received = self._sock, b""
        assert sock is not None
        deadline = time.monotonic() + self._patience
        while True:
            head, found, rest = received.partition(b"\r\n\r\n")
            length = _LENGTH.search(head + b"\r\n") if found else None
            if length and len(rest) >= int(length[1]):
                return self._answered(head + b"\r\n", rest, int(length[1]), len(received))
            if len(received) > 16 and not _STATUS.match(received):
                return self._over(End.GARBLED, len(received))
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                octets = sock.recv(65536)
            except TimeoutError:
                return self._over(End.SILENCE, len(received))
            except OSError:
                return self._over(End.RESET, len(received))
            if not octets:
                if found and not length:  # an answer without a length ends with its connection
                    return self._answered(head + b"\r\n", rest, len(rest), len(received))
                return self._over(End.EOF, len(received))
            received += octets

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def abort(self) -> None:
        """Close with a reset."""
        if self._sock is not None:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self.close()

    def _connected(self) -> socket.socket:
        """The connection, opened if need be. Raises OSError."""
        if self._sock is not None and self.is_closed_by_peer():
            self.closed_between += 1
            self.close()
        self._is_first = self._sock is None
        if self._sock is None:
            self._port = 0
            self._sock = socket.create_connection(self._address, self._patience)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.settimeout(self._patience)
        return self._sock

    def is_closed_by_peer(self) -> bool:
        """Whether the end has arrived; octets that nobody asked for are left for `receive` to find wrong."""
        assert self._sock is not None
        self._sock.setblocking(False)
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _answered(self, head: bytes, rest: bytes, length: int, octets: int) -> Attempt:
        status, content = _STATUS.match(head), rest[:length]
        if status is None or len(rest) > length:
            return self._over(End.GARBLED, octets)
        if not self._keeps or _CLOSE.search(head) or not _LENGTH.search(head):
            self.close()
        words = content.split(b" ", 2)
        pid = int(words[1]) if len(words) == 3 and words[1].isdigit() else 0
        expected = f"{self._token} {pid} ".encode().ljust(self._request.size, b".")
        return self._attempt(End.WHOLE, octets, int(status[1]), content == expected, pid)

    def _over(self, end: End, octets: int = 0) -> Attempt:
        self.close()
        return self._attempt(end, octets)

    def _attempt(self, end: End, octets: int = 0, status: int = 0, is_right: bool = False, pid: int = 0) -> Attempt:
        return Attempt(
            token=self._token,
            port=self._port,
            began=self._began,
            ended=time.monotonic(),
            end=end,
            is_first=self._is_first,
            octets=octets,
            status=status,
            is_right=is_right,
            pid=pid,
            asked_seconds=self._request.milliseconds / 1000,
            is_special=self._is_special,
        )
