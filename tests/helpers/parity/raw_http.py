"""A client that hides nothing: bytes go out as given, and an answer is kept as it came, field by field."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

TIMEOUT = 30.0  # seconds without a byte; what takes so long has gone wrong
MAX_HEAD = 256 * 1024

Address = tuple[str, int] | str  # (host, port), or the path of a Unix socket


class WireError(Exception):
    """The peer sent something that is no HTTP answer, or ended in the middle of one."""


class ConnectionEndedError(WireError):
    """The peer ended the connection where an answer was to begin."""


@dataclass(frozen=True, slots=True)
class Answer:
    version: str  # "HTTP/1.1"
    status: str  # "200 OK": code and reason phrase
    fields: tuple[tuple[str, str], ...]  # as they came, in order; latin-1
    body: bytes
    framing: str  # what marks the end of the body: "none", "length", "chunked" or "close"
    interim: tuple[str, ...] = ()  # status lines of 1xx answers that came before

    @property
    def code(self) -> int:
        return int(self.status[:3])

    def all(self, name: str) -> list[str]:
        return [value for field_name, value in self.fields if field_name.lower() == name.lower()]

    def get(self, name: str, default: str = "") -> str:
        return ", ".join(self.all(name)) or default

    @property
    def promises_more(self) -> bool:
        """Whether the connection stays open after this answer, as RFC 9112, section 9.3 reads it."""
        options = {option.strip().lower() for option in self.get("Connection").split(",")}
        if "close" in options or self.framing == "close":
            return False
        return self.version != "HTTP/1.0" or "keep-alive" in options


class Connection:
    def __init__(self, address: Address) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.settimeout(TIMEOUT)
        self._socket.connect(address)
        self._buffer = bytearray()
        self._ended = False

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """A peer that has stopped reading may have answered already, so this raises nothing: receive() tells."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def receive(self, method: str) -> Answer:
        """The next final answer; `method` is that of its request, since one to HEAD has no body."""
        interim: list[str] = []
        while True:
            version, status, fields = self._receive_head()
            if not status.startswith("1"):
                body, framing = self._receive_body(method, int(status[:3]), fields)
                return Answer(version, status, fields, body, framing, tuple(interim))
            interim.append(f"{version} {status}")

    def receive_interim(self) -> str:
        """The status line of a 1xx answer, which must come next."""
        version, status, _ = self._receive_head()
        if not status.startswith("1"):
            raise WireError(f"expected an interim answer, got {status}")
        return f"{version} {status}"

    def is_ended(self) -> bool:
        """Whether the peer ends the connection now; anything that it still sends is an error."""
        if self._buffer:
            raise WireError(f"bytes after the last answer: {bytes(self._buffer[:80])!r}")
        data = self._receive()
        if data:
            raise WireError(f"bytes after the last answer: {data[:80]!r}")
        return True

    def _more(self) -> bool:
        data = b"" if self._ended else self._receive()
        self._ended = not data
        self._buffer += data
        return bool(data)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(256 * 1024)
        except ConnectionResetError:
            return b""

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > MAX_HEAD or not self._more():
                if not self._buffer:
                    raise ConnectionEndedError("the connection ended before the answer")
                raise WireError(f"no end of line in {bytes(self._buffer[:200])!r}")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not self._more():
                raise WireError(f"the body ended {count - len(self._buffer)} bytes early")
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _receive_head(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        version, _, status = self._line().decode("latin-1").partition(" ")
        if version not in ("HTTP/1.0", "HTTP/1.1") or not status[:3].isdigit():
            raise WireError(f"no status line: {version} {status}")
        return version, status, self._receive_fields()

    def _receive_fields(self) -> tuple[tuple[str, str], ...]:
        fields = []
        while line := self._line().decode("latin-1"):
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise WireError(f"no field: {line!r}")
            fields.append((name, value.strip(" \t")))
        return tuple(fields)

    def _receive_body(self, method: str, code: int, fields: tuple[tuple[str, str], ...]) -> tuple[bytes, str]:
        """RFC 9112, section 6.3. Returns the content and what framed it."""
        lengths = [value for name, value in fields if name.lower() == "content-length"]
        codings = [value.lower() for name, value in fields if name.lower() == "transfer-encoding"]
        if method == "HEAD" or code in (204, 304):
            return b"", "none"
        if codings:
            if codings != ["chunked"] or lengths:
                raise WireError(f"framing that contradicts itself: {codings}, Content-Length {lengths}")
            return self._receive_chunks(), "chunked"
        if lengths:
            if len(lengths) > 1 or not lengths[0].isdigit():
                raise WireError(f"Content-Length {lengths}")
            return self._exactly(int(lengths[0])), "length"
        while self._more():
            pass
        body = bytes(self._buffer)
        self._buffer.clear()
        return body, "close"

    def _receive_chunks(self) -> bytes:
        content = bytearray()
        while size := int(self._line().split(b";")[0], 16):
            content += self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise WireError("a chunk that does not end where its size says")
        self._receive_fields()
        return bytes(content)
