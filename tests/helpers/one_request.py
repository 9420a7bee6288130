"""A request by the standard library's client, and a wait for what another thread returns."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

Result = TypeVar("Result")


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
