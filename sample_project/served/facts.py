"""What an application can learn from a request about the server that runs it."""

import math
import os
import platform
import re
import sys
import threading
from typing import Any

import django
from django.http import HttpRequest

from sample_project.middleware import current_request

_QUEUE_START = re.compile(r"t=([0-9]{1,12}(?:\.[0-9]{1,6})?)")


def queue_seconds(header: str, taken_at: float) -> float | None:
    """The seconds from the proxy's X-Request-Start (`t=` seconds since the epoch) to `taken_at`.

    None without a valid header. Never negative, even if the two clocks differ slightly.
    """
    match = _QUEUE_START.fullmatch(header.strip())
    return max(0.0, taken_at - float(match[1])) if match else None


def interpreter() -> str:
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return f"{platform.python_implementation()} {platform.python_version()}" + ("" if gil else ", free-threaded")


def facts(request: HttpRequest) -> dict[str, Any]:
    environ = request.META
    current = current_request()
    backend, _, version = environ.get("SERVER_SOFTWARE", "").partition("/")
    queued = queue_seconds(environ.get("HTTP_X_REQUEST_START", ""), current.taken_at)
    forwarded_for = environ.get("HTTP_X_FORWARDED_FOR", "")
    return {
        "backend": backend or "unknown",
        "backend_version": version,
        "python": interpreter(),
        "django": django.get_version(),
        "process": os.getpid(),
        "thread": threading.current_thread().name,
        "multithread": bool(environ.get("wsgi.multithread")),
        "multiprocess": bool(environ.get("wsgi.multiprocess")),
        "request_id": current.id,
        "request_id_given": environ.get("HTTP_X_REQUEST_ID") == current.id,
        "queue_milliseconds": None if queued is None else math.ceil(queued * 10_000) / 10,
        "proxy": bool(forwarded_for or queued is not None),
        "scheme": request.scheme,
        "host": environ.get("HTTP_HOST", ""),
        "http_version": environ.get("SERVER_PROTOCOL", ""),
        "client_address": environ.get("REMOTE_ADDR", ""),
        "forwarded_for": forwarded_for,
        "forwarded_proto": environ.get("HTTP_X_FORWARDED_PROTO", ""),
    }
