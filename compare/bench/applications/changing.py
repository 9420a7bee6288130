"""Works as its path says: /computing for 1 ms, /blocking for 10 ms, /mixed blocks in one request of four."""

from __future__ import annotations

import itertools
import time

from bench.applications.computes import LOOPS, compute

TYPE_CHECKING = False  # without typing, which a process that is measured would have to load
if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

CONTENT = b"Hello, world!"
numbers = itertools.count()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/blocking" or (path == "/mixed" and next(numbers) % 4 == 0):
        time.sleep(0.010)
    elif path != "/hello":
        compute(LOOPS)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(CONTENT)))])
    return [CONTENT]
