"""The application of the scenarios: it records each request in the journal and responds with the request's token.

/work     takes `ms` milliseconds and responds with `size` bytes if the request's content is right
/stream   responds in ten pieces of `size` bytes, over `ms` milliseconds
/pieces   responds as /work does, in ten pieces, over `ms` milliseconds
/logs     writes lines to `wsgi.errors` for `ms` milliseconds, but at least a hundred
/fork     forks a child that ends with `sys.exit`, and waits a second at most for its end
/hungry   takes memory, `mb` MiB or all there is, and holds it for `ms` milliseconds
/stuck    never returns, and ignores exceptions raised in its thread
/gil      never returns and holds the GIL, like a catastrophic regular expression
/memory   responds with the process ID, the KiB allocated with malloc, and the number of blocks of Python's allocator
"""

from __future__ import annotations

import gc
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qs
from wsgiref.types import ErrorStream, StartResponse, WSGIEnvironment

JOURNAL = os.open(os.environ["FAULTS_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
MIB = 1024 * 1024
LINES = 100


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    token = query["token"]
    content = environ["wsgi.input"].read()
    # One write in append mode: complete, whatever happens to the process afterwards.
    os.write(JOURNAL, f"{token} {os.getpid()}\n".encode())
    seconds = int(query.get("ms", "0")) / 1000
    if environ["PATH_INFO"] == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return stream([b"." * int(query["size"])] * 10, seconds)
    if environ["PATH_INFO"] == "/memory":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{os.getpid()} {malloc_kib()} {python_blocks()}".encode()]
    if environ["PATH_INFO"] == "/hungry":
        hold_memory(int(query.get("mb", "0")), seconds)
    elif environ["PATH_INFO"] == "/stuck":
        threading.Event().wait()
    elif environ["PATH_INFO"] == "/gil":
        re.match(r"(a+)+$", "a" * 100 + "b")
    elif environ["PATH_INFO"] == "/logs":
        write_lines(environ["wsgi.errors"], token, seconds)
    elif environ["PATH_INFO"] == "/fork":
        fork_child()
    elif seconds and environ["PATH_INFO"] != "/pieces":
        time.sleep(seconds)
    response = f"{token} {os.getpid()} ".encode().ljust(int(query["size"]), b".")
    size = int(environ.get("CONTENT_LENGTH") or 0)
    if content != (token.encode() * (size // len(token) + 1))[:size]:
        response = b"the content of another request"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(response)))])
    if environ["PATH_INFO"] == "/pieces":
        size = -(-len(response) // 10)
        return stream([response[start : start + size] for start in range(0, len(response), size)], seconds)
    return [response]


def stream(pieces: list[bytes], seconds: float) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        time.sleep(seconds / len(pieces))


def write_lines(errors: ErrorStream, token: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    number = 0
    while number < LINES or time.monotonic() < until:
        errors.write(f"{token} {number}.\n")
        number += 1


def fork_child() -> None:
    if not (child := os.fork()):
        sys.exit(0)
    until = time.monotonic() + 1
    while not os.waitpid(child, os.WNOHANG)[0] and time.monotonic() < until:
        time.sleep(0.005)


def malloc_kib() -> int:
    """What is allocated with malloc: all objects above 512 bytes, and the memory of C code; 0 without glibc 2.33."""
    import ctypes  # only for this: it takes a megabyte

    class MallInfo2(ctypes.Structure):
        _fields_ = tuple((f"field_{number}", ctypes.c_size_t) for number in range(10))

    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    mallinfo2.restype = MallInfo2
    found = mallinfo2()
    mapped, in_arenas = found.field_4, found.field_7  # hblkhd, uordblks
    return int(mapped + in_arenas) // 1024


def python_blocks() -> int:
    """The number of objects up to 512 bytes, without those that only wait for the garbage collector."""
    gc.collect()
    return sys.getallocatedblocks()


def hold_memory(mebibytes: int, seconds: float) -> None:
    """Hold that much memory for a while; with 0, all there is until an allocation fails."""
    held: list[bytearray] = []
    try:
        while not mebibytes or len(held) < mebibytes:
            held.append(bytearray(b"x" * MIB))
    except MemoryError:
        time.sleep(seconds)
        raise
    time.sleep(seconds)
