"""A request by the standard library's client, to a server of socketserver's kind in another thread."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from typing import TypeVar

Result = TypeVar("Result")
Server = TypeVar("Server", bound=BaseServer)


def ask(
    connection: http.client.HTTPConnection,
    path: str = "/",
    method: str = "GET",
    body: bytes | Iterable[bytes] | None = None,
    headers: Iterable[tuple[str, str]] = (),
    version: int = 11,
) -> tuple[int, bytes, http.client.HTTPMessage]:
    """The status, the content and the fields of the response. `version` is 10 or 11; closes the connection."""
    connection._http_vsn, connection._http_vsn_str = version, f"HTTP/1.{version - 10}"  # type: ignore[attr-defined]  # private
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def in_background(function: Callable[[], Result]) -> Callable[[], Result]:
    """Calls it in another thread; returns a function that waits for what it returns."""
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()

    def result() -> Result:
        thread.join(20)
        return results[0]

    return result


@contextmanager
def serving_forever(server: Server) -> Iterator[Server]:
    """Call its `serve_forever` in another thread, and close it at the end."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
