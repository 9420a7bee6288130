"""A real server around an application, in threads of this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TextIO, TypeVar

import ropewalk
from ropewalk.config.settings import make_settings
from ropewalk.logs.access_log import AccessLog
from ropewalk.net.listeners.open import close_listeners, open_listeners
from ropewalk.runtime.service import Service
from tests.helpers.http_client import GET, Client

AnyClient = TypeVar("AnyClient", bound=Client)

DEFAULTS: dict[str, Any] = {"bind": "127.0.0.1:0", "threads": 4}


class WorkerService:
    """What a worker serves with, in threads of this process: a test asks `service` what the worker does."""

    def __init__(self, application: Any, errors: TextIO | None = None, **settings: Any) -> None:
        read = make_settings(**settings)
        self._access_log = AccessLog(read.access_log, read.access_log_format) if read.access_log else None
        self._listeners = open_listeners(read.bind, backlog=read.backlog, unix_mode=0)
        self.address = self._listeners[0].getsockname()
        self.service = Service(application, self._listeners, read, access_log=self._access_log, errors=errors)
        self.service.start()

    def stop(self) -> None:
        self.service.drain(time.monotonic() + 5)
        self.service.close()
        close_listeners(self._listeners)
        if self._access_log is not None:
            self._access_log.close()


class Talk:
    """Servers and clients of one test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def serve(self, application: Any, **settings: Any) -> ropewalk.Server:
        """A server of `application`, stopped at the end of the test."""
        server = ropewalk.Server(application, **DEFAULTS | settings)
        self._stack.callback(server.stop, 5)
        server.start()
        return server

    def serve_as_worker(self, application: Any, errors: TextIO | None = None, **settings: Any) -> WorkerService:
        """The same, for a test that has to ask or do what a worker does."""
        server = WorkerService(application, errors, **DEFAULTS | settings)
        self._stack.callback(server.stop)
        return server

    def connect(self, server: ropewalk.Server | WorkerService) -> Client:
        return self.keep(Client(server.address))

    def keep(self, client: AnyClient) -> AnyClient:
        """The client, which is closed at the end of the test."""
        self._stack.callback(lambda: client.sock.close())
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
