"""Computes, waits and computes again, as long as the path says: /COMPUTES/WAITS in microseconds, such as /3000/7000.

It computes until its thread has used so much processor time, however fast the machine is at the moment. It responds
with the number of its process.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False  # without typing, which a process that is measured would have to load
if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

MICROSECOND = 1e-6


def compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    computes, waits = (int(word) * MICROSECOND for word in environ["PATH_INFO"].strip("/").split("/"))
    if waits:
        compute(computes / 2)
        time.sleep(waits)
        compute(computes / 2)
    elif computes:
        compute(computes)
    content = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))])
    return [content]
