"""A real server around an application, in threads of this process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import ropewalk
from tests.helpers.http_client import GET, Client


class Talk:
    """Servers and clients of one test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def serve(self, application: Any, **settings: Any) -> ropewalk.Server:
        """A server of `application`, stopped at the end of the test."""
        settings.setdefault("bind", "127.0.0.1:0")
        settings.setdefault("threads", 4)
        server = ropewalk.Server(application, **settings)
        self._stack.callback(server.stop, 5)
        server.start()
        return server

    def connect(self, server: ropewalk.Server) -> Client:
        client = Client(server.address)
        self._stack.callback(client.sock.close)
        return client

    def ask(self, application: Any, request: bytes = GET, **settings: Any) -> bytes:
        """Everything that a server of `application` answers to `request` until it closes."""
        client = self.connect(self.serve(application, **settings))
        client.send(request)
        return client.read_all()


def answering(
    content: Any = (b"ok",), status: str = "200 OK", headers: list[tuple[str, str]] | None = None
) -> Callable[..., Any]:
    """An application that always answers this; `content` may be a function that makes it."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ["wsgi.input"].read()
        start_response(status, list(headers or []))
        return content() if callable(content) else content

    return application
