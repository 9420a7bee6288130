"""Waits, as for a database: 10 ms in each request; at /some, 20 ms in one request of ten."""

import itertools
import time

CONTENT = b"Hello, world!"
numbers = itertools.count()


def application(environ, start_response):
    if environ["PATH_INFO"] != "/some":
        time.sleep(0.010)
    elif next(numbers) % 10 == 0:
        time.sleep(0.020)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(CONTENT)))])
    return [CONTENT]
