"""Sleeps like a database query: 10 ms in each request, or at /some 20 ms in one request of ten."""

from __future__ import annotations

import itertools
import time

TYPE_CHECKING = False  # without typing, which a process that is measured would have to load
if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

CONTENT = b"Hello, world!"
numbers = itertools.count()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] != "/some":
        time.sleep(0.010)
    elif next(numbers) % 10 == 0:
        time.sleep(0.020)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(CONTENT)))])
    return [CONTENT]
