"""Responds with the file BENCH_FILE through `wsgi.file_wrapper`, or block by block if the server has none."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # without typing, which a process that is measured would have to load
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO
    from wsgiref.types import StartResponse, WSGIEnvironment

BLOCK_BYTES = 64 * 1024
PATH = os.environ["BENCH_FILE"]


def blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    with file:
        while content := file.read(size):
            yield content


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    file = open(PATH, "rb")  # noqa: SIM115 - the server closes it
    length = os.fstat(file.fileno()).st_size
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(length))])
    wrapped: Iterable[bytes] = environ.get("wsgi.file_wrapper", blocks)(file, BLOCK_BYTES)
    return wrapped
