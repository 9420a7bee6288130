"""What the access log knows of one request.

A plain class: `dataclasses` would load `inspect` into each worker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ropewalk.logs.escape import escape


class AccessRecord:
    """A request, and the response that it got."""

    __slots__ = (
        "application",
        "body_bytes",
        "environ",
        "headers",
        "is_complete",
        "queue",
        "receiving",
        "request_bytes",
        "request_id",
        "seconds",
        "status",
        "waiting",
    )

    def __init__(
        self,
        environ: dict[str, Any],
        status: str,
        headers: list[tuple[str, str]],
        body_bytes: int,
        seconds: float,
        is_complete: bool,
        queue: float | None = None,
        receiving: float | None = None,
        waiting: float | None = None,
        application: float | None = None,
        request_bytes: int | None = None,
        request_id: str = "",
    ) -> None:
        self.environ = environ
        """Of the request; empty, or not complete, for one that was refused before it had an environ."""
        self.status = status
        """As passed to `start_response`: `200 OK`."""
        self.headers = headers
        """Of the response."""
        self.body_bytes = body_bytes
        """Bytes of content that were sent."""
        self.seconds = seconds
        """From the start of the application to the end of the response."""
        self.is_complete = is_complete
        """Whether the whole response was sent."""
        self.queue = queue
        """Seconds between the proxy in front and the application, if a trusted proxy sends X-Request-Start."""
        self.receiving = receiving
        """Seconds from the first byte of the request to the last."""
        self.waiting = waiting
        """Seconds from the last byte until a thread was free to run the application."""
        self.application = application
        """Seconds that the application took, a part of `seconds`."""
        self.request_bytes = request_bytes
        """Of the request: head, content and its framing."""
        self.request_id = request_id
        """As the server assigned it, or else as the proxy in front sent it; "" for none."""

    @property
    def sending(self) -> float | None:
        """Seconds that the response waited to be sent and was being sent: the rest of `seconds`."""
        return None if self.application is None else max(0.0, self.seconds - self.application)


class AccessWriter(Protocol):
    """An access log, as far as those know it that have a line for it."""

    @property
    def lost(self) -> int:
        """Lines that could not be written."""

    def write(self, record: AccessRecord) -> None:
        """Take the line of `record`. Any thread of the pool, after the response. Never raises."""


Line = Callable[[AccessRecord], str]
"""A format of lines: returns the line of a record, without a line end."""


def request_target(get: Callable[[str], Any]) -> str:
    """The method and the target; `-` for a request that was refused before it had any."""
    method = get("REQUEST_METHOD")
    if method is None:
        return "-"
    target = get("RAW_URI") or get("REQUEST_URI")
    if target is None:
        query = get("QUERY_STRING")
        target = f"{get('SCRIPT_NAME') or ''}{get('PATH_INFO') or ''}" + (f"?{query}" if query else "")
    return escape(f"{method} {target}")
