"""A generator of 64 chunks of 1 KiB without a Content-Length: PEP 3333 has each sent before the next is produced."""

from __future__ import annotations

TYPE_CHECKING = False  # without typing, which a process that is measured would have to load
if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

CHUNK = b"x" * 1024


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    for _ in range(64):
        yield CHUNK
