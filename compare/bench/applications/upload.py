"""Reads the request's content in blocks, and responds with its length and its first and last 16 bytes."""

from __future__ import annotations

TYPE_CHECKING = False  # without typing, which a process that is measured would have to load
if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

BLOCK_BYTES = 64 * 1024


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    length, first, last = 0, b"", b""
    remaining = int(environ.get("CONTENT_LENGTH") or 0)
    while remaining > length and (block := environ["wsgi.input"].read(min(BLOCK_BYTES, remaining - length))):
        first, last = first or block, block
        length += len(block)
    content = b"%d %s %s" % (length, first[:16], last[-16:])
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))])
    return [content]
