"""A client that sends octets as they are, and reads answers by their framing."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

PATIENCE = 10.0
"""Seconds without anything from the server; only a fault runs into it."""


@dataclass(slots=True)
class Answer:
    """One final or interim answer; field names are in lower case."""

    status_code: int
    fields: dict[str, str]
    content: bytes = b""


@dataclass(slots=True)
class Conversation:
    """What a connection gave back."""

    port: int  # ours
    answers: list[Answer] = field(default_factory=list)  # final ones
    interim: list[Answer] = field(default_factory=list)
    ended: bool = False  # the server ended it of its own accord
    surplus: bytes = b""  # octets that are no answer

    @property
    def statuses(self) -> list[int]:
        return [answer.status_code for answer in self.answers]


class Reader:
    """Reads a connection's answers; `methods` are those of the requests that are expected to be answered."""

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

    def answer(self) -> Answer | None:
        """The next answer; None when the connection ends instead."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        assert status_line.startswith("HTTP/1.1 "), status_line
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        answer = Answer(int(status_line[9:12]), fields)
        if answer.status_code >= 200:
            answer.content = self._content(answer, next(self._methods, ""))
        return answer

    def _content(self, answer: Answer, method: str) -> bytes:
        if method == "HEAD" or answer.status_code in (204, 304):
            return b""
        if answer.fields.get("transfer-encoding") == "chunked":
            return self._chunks()
        if "content-length" not in answer.fields:
            return self.rest()
        return self._octets(int(answer.fields["content-length"]))

    def _octets(self, count: int) -> bytes:
        while len(self.buffer) < count:
            assert self._more(), "the answer was cut"
        content, self.buffer = self.buffer[:count], self.buffer[count:]
        return content

    def _chunks(self) -> bytes:
        content = b""
        while True:
            while b"\r\n" not in self.buffer:
                assert self._more(), "the answer was cut"
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
    address: tuple[str, int], pieces: Iterable[bytes], *, answers: int, methods: Iterable[str] = (), stays_open: bool
) -> Conversation:
    """Send `pieces`, each on its own, and read `answers` final answers and then whatever else comes.

    With `stays_open` the client then says that it sends no more; otherwise it waits for the server to end.
    """
    with socket.create_connection(address, timeout=PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conversation = Conversation(sock.getsockname()[1])
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused already; the answer is there
            for piece in pieces:
                sock.sendall(piece)
        reader = Reader(sock, methods)
        try:
            while len(conversation.answers) < answers:
                answer = reader.answer()
                if answer is None:
                    break
                (conversation.answers if answer.status_code >= 200 else conversation.interim).append(answer)
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
