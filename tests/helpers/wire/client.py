"""A client that sends raw octets, and reads responses by their framing."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

PATIENCE = 10.0
"""Seconds without anything from the server; only a fault runs into it."""


@dataclass(slots=True)
class Response:
    """One final or interim response; field names are in lower case."""

    status_code: int
    fields: dict[str, str]
    content: bytes = b""


@dataclass(slots=True)
class Conversation:
    """What the server sent on one connection."""

    port: int  # ours
    responses: list[Response] = field(default_factory=list)  # final ones
    interim: list[Response] = field(default_factory=list)
    ended: bool = False  # the server closed it first
    surplus: bytes = b""  # octets that are not part of a response

    @property
    def statuses(self) -> list[int]:
        return [response.status_code for response in self.responses]


class Reader:
    """Reads the responses on a connection; `methods` are those of the requests, in order."""

    def __init__(self, sock: socket.socket, methods: Iterable[str] = ()) -> None:
        self._sock = sock
        self._methods = iter(methods)
        self.buffer = b""
        self.is_at_end = False

    def _more(self) -> bool:
        if self.is_at_end:
            return False
        try:
            data = self._sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.is_at_end = not data
        self.buffer += data
        return bool(data)

    def read_response(self) -> Response | None:
        """The next response; None when the connection is closed instead."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        assert status_line.startswith("HTTP/1.1 "), status_line
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        response = Response(int(status_line[9:12]), fields)
        if response.status_code >= 200:
            response.content = self._content(response, next(self._methods, ""))
        return response

    def _content(self, response: Response, method: str) -> bytes:
        if method == "HEAD" or response.status_code in (204, 304):
            return b""
        if response.fields.get("transfer-encoding") == "chunked":
            return self._chunks()
        if "content-length" not in response.fields:
            return self.rest()
        return self._octets(int(response.fields["content-length"]))

    def _octets(self, count: int) -> bytes:
        while len(self.buffer) < count:
            assert self._more(), "the response was cut"
        content, self.buffer = self.buffer[:count], self.buffer[count:]
        return content

    def _chunks(self) -> bytes:
        content = b""
        while True:
            while b"\r\n" not in self.buffer:
                assert self._more(), "the response was cut"
            size, _, self.buffer = self.buffer.partition(b"\r\n")
            chunk = self._octets(int(size, 16) + 2)
            if size == b"0":
                return content
            content += chunk[:-2]

    def rest(self) -> bytes:
        """Everything until the connection's end."""
        while self._more():
            pass
        rest, self.buffer = self.buffer, b""
        return rest


def converse(
    address: tuple[str, int], pieces: Iterable[bytes], *, responses: int, methods: Iterable[str] = (), stays_open: bool
) -> Conversation:
    """Send `pieces` one by one, and read `responses` final responses, then everything else.

    With `stays_open` the client then shuts down its output; otherwise it waits for the server to close.
    """
    with socket.create_connection(address, timeout=PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conversation = Conversation(sock.getsockname()[1])
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused already, and the response is there
            for piece in pieces:
                sock.sendall(piece)
        reader = Reader(sock, methods)
        try:
            while len(conversation.responses) < responses:
                response = reader.read_response()
                if response is None:
                    break
                (conversation.responses if response.status_code >= 200 else conversation.interim).append(response)
            if stays_open and not reader.is_at_end:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_WR)
                conversation.surplus = reader.rest()
            else:
                conversation.surplus = reader.rest()
                conversation.ended = True
        except TimeoutError:
            conversation.surplus += reader.buffer
    return conversation
