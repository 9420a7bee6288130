"""Computes for about 1 ms in each request, in Python: BENCH_LOOPS iterations, calibrated before the run."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # without typing, which a process that is measured would have to load
if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

LOOPS = int(os.environ["BENCH_LOOPS"])
CONTENT = b"Hello, world!"


def compute(loops: int) -> None:
    total = 0
    for number in range(loops):
        total += number & 7


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    compute(LOOPS)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(CONTENT)))])
    return [CONTENT]
