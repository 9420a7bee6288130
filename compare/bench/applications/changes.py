"""Works as its path says: /computing 1 ms, /blocking for 10 ms, /mixed every fourth blocks, the others compute."""

import itertools
import time

from computes import LOOPS, compute

CONTENT = b"Hello, world!"
numbers = itertools.count()


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/blocking" or (path == "/mixed" and next(numbers) % 4 == 0):
        time.sleep(0.010)
    elif path != "/hello":
        compute(LOOPS)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(CONTENT)))])
    return [CONTENT]
