"""Responds with the process ID of the worker in eight digits, and with 13 bytes at /hello."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # without typing, which a process that is measured would have to load
if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

HELLO = b"Hello, world!"


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    content = HELLO if environ["PATH_INFO"] == "/hello" else b"%08d" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))])
    return [content]
