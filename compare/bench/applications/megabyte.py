"""Responds with 1 MiB from memory, and with 13 bytes at /hello."""

from __future__ import annotations

TYPE_CHECKING = False  # without typing, which a process that is measured would have to load
if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

CONTENT = bytes(range(256)) * 4096
HELLO = b"Hello, world!"


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    content = HELLO if environ["PATH_INFO"] == "/hello" else CONTENT
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(content)))])
    return [content]
