"""A client that sends and keeps raw octets."""

from __future__ import annotations

import contextlib
import re
import socket
from typing import Any

PATIENCE = 20.0

GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Client:
    """One connection."""

    def __init__(self, address: Any) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.sock = socket.socket(family)
        self.sock.settimeout(PATIENCE)
        try:
            self.connect(address)
        except OSError:
            self.sock.close()
            raise
        self.received = b""

    def connect(self, address: Any) -> None:
        self.sock.connect(address)

    def send(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def read_all(self) -> bytes:
        """Everything until the peer ends the connection (b"RESET" in its place when it reset it)."""
        with contextlib.suppress(ConnectionResetError):
            while data := self.sock.recv(65536):
                self.received += data
            return self.take(len(self.received))
        return self.take(len(self.received)) + b"RESET"

    def read_until(self, end: bytes) -> bytes:
        while end not in self.received:
            data = self.sock.recv(65536)
            assert data, f"the connection ended after {self.received!r}"
            self.received += data
        return self.take(self.received.index(end) + len(end))

    def take(self, count: int) -> bytes:
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def read_response(self) -> tuple[bytes, bytes]:
        """The head and the content of an answer that has a Content-Length."""
        head = self.read_until(b"\r\n\r\n")
        found = re.search(rb"(?i)content-length: *(\d+)", head)
        length = int(found[1]) if found else 0
        while len(self.received) < length:
            data = self.sock.recv(65536)
            assert data, "the content was cut"
            self.received += data
        return head, self.take(length)
