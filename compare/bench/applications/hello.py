"""The smallest response: 13 bytes of text."""

from __future__ import annotations

TYPE_CHECKING = False  # without typing, which a process that is measured would have to load
if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

CONTENT = b"Hello, world!"


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(CONTENT)))])
    return [CONTENT]
