"""A name for each request, which the logs of proxy, server and application can share.

A trusted proxy's `X-Request-ID` is kept, if it looks like one; anybody else's is replaced, since a client could make
all its requests look like one of another's. Runs in the thread that runs the application.
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

FIELD, KEY, OWN_KEY = "X-Request-ID", "HTTP_X_REQUEST_ID", "ropewalk.request_id"

PATTERN = re.compile(r"[A-Za-z0-9_.:=+/@-]{1,128}", re.ASCII)
"""What identifiers of proxies, UUIDs and trace parents are made of; nothing that a log or a shell would take amiss."""


class RequestIds:
    """Gives each environ its request's name. Made after the fork, once in a process."""

    def __init__(self) -> None:
        self._prefix = os.urandom(8).hex()  # of this process; names need to differ, not to be secret
        self._numbers = count(1)  # `next` is atomic

    def assign(self, environ: Environ, *, is_trusted: bool) -> str:
        """Set the id in `environ`, and return it; `is_trusted`: its fields come from a trusted proxy."""
        name: str | None = environ.get(KEY) if is_trusted else None
        if name is None or PATTERN.fullmatch(name) is None:
            name = environ[KEY] = f"{self._prefix}{next(self._numbers):08x}"
        environ[OWN_KEY] = name
        return name


def valid_request_id(name: str | None) -> str:
    """`name` if it can be an id, else ""."""
    return name if name is not None and PATTERN.fullmatch(name) is not None else ""


def answer_request_id(application: WSGIApplication) -> WSGIApplication:
    """`application`, whose answers tell the name of their request; one that the application set itself stays."""

    def answer(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        name = environ[OWN_KEY]  # now: the environ is the application's to change

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            if not any(key.lower() == "x-request-id" for key, _ in headers):
                headers = [*headers, (FIELD, name)]
            return start_response(status, headers, *exc_info)

        return application(environ, start)

    return answer
