"""An id for each request, which the logs of proxy, server and application can share.

The `X-Request-ID` of a trusted proxy is kept if it looks like one. That of any other peer is replaced: with it, a
client could give its requests the id of another client's. Runs in the thread that runs the application.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from itertools import count
from typing import TYPE_CHECKING, Any

from ropewalk.wsgi.environ import Environ

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

FIELD, KEY, ROPEWALK_KEY = "X-Request-ID", "HTTP_X_REQUEST_ID", "ropewalk.request_id"

PATTERN = re.compile(r"[A-Za-z0-9_.:=+/@-]{1,128}", re.ASCII)
"""The characters of proxies' ids, UUIDs and trace parents; none that is special in a log or a shell."""


class RequestIds:
    """Assigns ids. Made once in a process, after the fork."""

    def __init__(self) -> None:
        self._prefix = os.urandom(8).hex()  # of this process; ids have to be unique, not secret
        self._numbers = count(1)  # `next` is atomic

    def assign(self, environ: Environ, *, is_trusted: bool) -> str:
        """Set the id in `environ`, and return it; `is_trusted`: its fields come from a trusted proxy."""
        request_id: str | None = environ.get(KEY) if is_trusted else None
        if request_id is None or PATTERN.fullmatch(request_id) is None:
            request_id = environ[KEY] = f"{self._prefix}{next(self._numbers):08x}"
        environ[ROPEWALK_KEY] = request_id
        return request_id


def valid_request_id(request_id: str | None) -> str:
    """`request_id` if it can be an id, else ""."""
    return request_id if request_id is not None and PATTERN.fullmatch(request_id) is not None else ""


def with_request_id_field(application: WSGIApplication) -> WSGIApplication:
    """`application`, with X-Request-ID added to its responses, unless it sets the field itself."""

    def wrapped(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        request_id = environ[ROPEWALK_KEY]  # now: the application may change the environ

        def start_with_id(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            if not any(key.lower() == "x-request-id" for key, _ in headers):
                headers = [*headers, (FIELD, request_id)]
            return start_response(status, headers, *exc_info)

        return application(environ, start_with_id)

    return wrapped
