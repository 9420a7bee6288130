"""A keep-alive connection of a load with at most one request outstanding."""

from __future__ import annotations

import socket

END_OF_HEAD = b"\r\n\r\n"
RECEIVE_BYTES = 65536


def parse_address(bind: str) -> tuple[str, int]:
    """`HOST:PORT` as the address of a socket."""
    host, _, port = bind.rpartition(":")
    return host, int(port)


def get(path: str) -> bytes:
    """A GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def receive(sock: socket.socket) -> bytes:
    """The next bytes of a response. Raises `ConnectionError` at the end of the connection."""
    data = sock.recv(RECEIVE_BYTES)
    if not data:
        raise ConnectionError("the connection was closed before the response was complete")
    return data


class Connection:
    """One connection, non-blocking. `intended` is when its current request was due."""

    __slots__ = ("_received", "_size", "fd", "intended", "sock")

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.fd = self.sock.fileno()
        self.intended = 0.0
        self._received = b""
        self._size = 0  # of the response; 0 before its header section is complete

    def read(self) -> bool | None:
        """Receive once; True for a complete 200 response, False for any other or a close, None if incomplete."""
        data = self.sock.recv(RECEIVE_BYTES)
        if not data:
            return False
        self._received += data
        if not self._size:
            end = self._received.find(END_OF_HEAD)
            if end < 0:
                return None
            head = self._received[:end].lower()
            length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            self._size = end + len(END_OF_HEAD) + int(length or b"0")
        if len(self._received) < self._size:
            return None
        is_ok = self._received.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")) and len(self._received) == self._size
        self._received, self._size = b"", 0
        return is_ok
