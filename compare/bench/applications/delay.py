"""Responds with the moment at which it finished (monotonic seconds).

/block blocks for ten seconds or until /release; /short computes for half a millisecond, /long for ten.
"""

from __future__ import annotations

import threading
import time

from bench.applications.computes import LOOPS, compute

TYPE_CHECKING = False  # without typing, which a process that is measured would have to load
if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

HELLO = b"Hello, world!"
BLOCK_SECONDS = 10.0
released = threading.Event()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    global released
    path = environ["PATH_INFO"]
    if path == "/block":
        released.wait(BLOCK_SECONDS)
    elif path == "/release":
        released, current = threading.Event(), released
        current.set()
    elif path == "/short":
        compute(LOOPS // 2)
    elif path == "/long":
        compute(10 * LOOPS)
    content = HELLO if path == "/hello" else b"%020.9f" % time.monotonic()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))])
    return [content]
