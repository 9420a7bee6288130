"""Tells the moment at which it has finished (monotonic seconds).

/block blocks for ten seconds, or until /release; /short computes for half a millisecond, /long for ten.
"""

import threading
import time

from computes import LOOPS, compute

HELLO = b"Hello, world!"
SECONDS = 10.0
gate = threading.Event()


def application(environ, start_response):
    global gate
    path = environ["PATH_INFO"]
    if path == "/block":
        gate.wait(SECONDS)
    elif path == "/release":
        gate, old = threading.Event(), gate
        old.set()
    elif path == "/short":
        compute(LOOPS // 2)
    elif path == "/long":
        compute(10 * LOOPS)
    content = HELLO if path == "/hello" else b"%020.9f" % time.monotonic()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))])
    return [content]
