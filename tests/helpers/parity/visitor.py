"""Somebody who visits the sample project: keeps cookies, sends forms, and notes every answer."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.helpers.parity.raw_http import Address, Answer, Connection, ConnectionEndedError

HOST = "localhost"
_TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="([A-Za-z0-9]+)"')
BOUNDARY = "rope-of-three-strands"

Fields = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass
class Visitor:
    """What a visit did is in `answers` (all of them, in order) and `endings` (one for each connection)."""

    address: Address
    answers: list[Answer] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=dict)
    _connection: Connection | None = None

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.leave()
        elif self._connection is not None:
            self._connection.close()

    def leave(self) -> None:
        """Ends the connection, and notes how: the server closed it as it said, or it serves another request."""
        if self._connection is None:
            return
        try:
            if self.answers and self.answers[-1].promises_more:
                self._connection.send(f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
                try:
                    answer = self._connection.receive("GET")
                    self.endings.append(f"kept, and then {answer.status} {answer.body.decode()!r}")
                except ConnectionEndedError:
                    self.endings.append("ended against its word")
            else:
                self._connection.is_ended()
                self.endings.append("closed by the server")
        finally:
            self._connection.close()
            self._connection = None

    def send(self, data: bytes) -> None:
        """Raw bytes, on the open connection or on a new one."""
        if self._connection is not None and self.answers and not self.answers[-1].promises_more:
            self.leave()
        if self._connection is None:
            self._connection = Connection(self.address)
        self._connection.send(data)

    def receive(self, method: str = "GET") -> Answer:
        assert self._connection is not None
        answer = self._connection.receive(method)
        self.answers.append(answer)
        for cookie in answer.all("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            if "max-age=0" in cookie.lower():
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def receive_interim(self) -> str:
        assert self._connection is not None
        return self._connection.receive_interim()

    def head(self, method: str, target: str, fields: Fields = (), *, version: str = "HTTP/1.1") -> bytes:
        """A request's head, with Host and the cookies; `fields` follow as they are."""
        lines = [f"{method} {target} {version}", f"Host: {HOST}"]
        if self.cookies:
            lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        lines += [f"{name}: {value}" for name, value in (fields.items() if isinstance(fields, Mapping) else fields)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def ask(
        self, method: str, target: str, fields: Fields = (), body: bytes | None = None, *, version: str = "HTTP/1.1"
    ) -> Answer:
        fields = list(fields.items() if isinstance(fields, Mapping) else fields)
        if body is not None:
            fields.append(("Content-Length", str(len(body))))
        self.send(self.head(method, target, fields, version=version) + (body or b""))
        return self.receive(method)

    def get(self, target: str, **fields: str) -> Answer:
        return self.ask("GET", target, _dashed(fields))

    def chunked(
        self, method: str, target: str, fields: Fields, pieces: list[bytes], end: bytes = b"0\r\n\r\n"
    ) -> Answer:
        fields = [*(fields.items() if isinstance(fields, Mapping) else fields), ("Transfer-Encoding", "chunked")]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        self.send(self.head(method, target, fields) + body + end)
        return self.receive(method)

    def token(self, page: str) -> str:
        """The CSRF token in the form of a page, which is asked for."""
        found = _TOKEN.search(self.get(page).body)
        assert found is not None
        return found[1].decode()

    def form(self, target: str, values: dict[str, str], *, token: str | None = None, **fields: str) -> Answer:
        """Sends a form as a browser does, with the token of the page that it is on."""
        values = {"csrfmiddlewaretoken": self.token(target) if token is None else token} | values
        fields = {"Content-Type": "application/x-www-form-urlencoded"} | _dashed(fields)
        return self.ask("POST", target, fields, urllib.parse.urlencode(values).encode())

    def log_in(self, name: str = "sailor") -> Answer:
        return self.form("/login", {"username": name, "password": "hemp-and-tar-9", "next": ""})


def _dashed(fields: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in fields.items()}


def multipart(values: dict[str, str], file: tuple[str, bytes]) -> bytes:
    """A form with one file in it, as a browser writes it."""
    name, content = file
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in values.items()
    ]
    parts.append(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n".encode()
    )
    return b"".join([*parts, content, f"\r\n--{BOUNDARY}--\r\n".encode()])


MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
