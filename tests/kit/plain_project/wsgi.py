"""A WSGI project with no framework and no manage.py: what the kit's own tests look through."""

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def stranger(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Knows nothing of health checks, as a project that was not made for the kit."""
    if environ["PATH_INFO"] == "/":
        start_response("200 OK", [("Content-Length", "6")])
        return [b"hello\n"]
    start_response("404 Not Found", [("Content-Length", "0")])
    return []


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    path, query = environ["PATH_INFO"], parse_qs(environ["QUERY_STRING"])
    headers = [("Content-Type", "text/plain; charset=utf-8")]
    if path == "/healthz":
        content = b"ok\n"
    elif path == "/slow":
        if "token" in query:
            Path("/tmp", query["token"][0]).touch()  # tells the test that the request has arrived
        time.sleep(min(float(query["seconds"][0]), 30))
        content = b"slept\n"
    elif path == "/environ":
        shown = {name: value for name, value in environ.items() if isinstance(value, str)}
        content = json.dumps(shown | {"pid": os.getpid()}).encode()
    elif path == "/accel":
        # without a Content-Type: nginx then goes by the name
        headers = [("X-Accel-Redirect", f"/_media/{query['name'][0]}")]
        content = b""
    elif path == "/download":
        size = int(query["size"][0])
        start_response("200 OK", [*headers, ("Content-Length", str(size))])
        block = b"x" * min(size, 65536)
        return (block[: size - start] for start in range(0, size, len(block)))
    elif path == "/upload":
        content = str(len(environ["wsgi.input"].read())).encode()
    else:
        # gunicorn resets a connection with a body that nobody has read, and the response may be lost
        environ["wsgi.input"].read()
        start_response("404 Not Found", headers)
        return [b"not here\n"]
    start_response("200 OK", [*headers, ("Content-Length", str(len(content)))])
    return [content]
