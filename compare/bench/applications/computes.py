"""Computes about 1 ms in each request, in Python: BENCH_LOOPS turns, which the benchmark counted before it began."""

import os

LOOPS = int(os.environ["BENCH_LOOPS"])
CONTENT = b"Hello, world!"


def compute(loops):
    total = 0
    for number in range(loops):
        total += number & 7
    return total


def application(environ, start_response):
    compute(LOOPS)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(CONTENT)))])
    return [CONTENT]
