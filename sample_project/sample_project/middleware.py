"""Middleware: the health check, request IDs and the Content-Security-Policy."""

import contextvars
import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import NamedTuple

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

GetResponse = Callable[[HttpRequest], HttpResponse]

HEALTH_PATH = "/healthz"

_log = logging.getLogger(__name__)
# An ID from outside goes into log lines: only a short one of harmless characters is accepted.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class CurrentRequest(NamedTuple):
    id: str
    taken_at: float
    """When the application received it, in seconds since the epoch."""


_current: contextvars.ContextVar[CurrentRequest] = contextvars.ContextVar("current_request")


def current_request() -> CurrentRequest:
    """The request that this thread is working on. Raises LookupError outside of one."""
    return _current.get()


class HealthMiddleware:
    """Responds to GET /healthz: 200 if the database responds, otherwise 503.

    It comes first, so the Host is not checked and there is no redirect to https: health checks use an address, not a
    name.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info != HEALTH_PATH:
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except DatabaseError as error:
            _log.error("health check: the database does not respond: %s", error)
            return self._respond("the database does not respond\n", 503)
        return self._respond("ok\n", 200)

    def _respond(self, content: str, status: int) -> HttpResponse:
        headers = {
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return HttpResponse(content, status=status, content_type="text/plain; charset=utf-8", headers=headers)


class RequestIdMiddleware:
    """Records the ID of each request, and when the application received it.

    The proxy sets the ID (X-Request-ID) and returns it to the client. Without a proxy, one is generated here.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        # Not reset at the end: Django logs the response after the last middleware, and the next request sets its own.
        _current.set(CurrentRequest(request_id, time.time()))
        return self.get_response(request)


class RequestIdFilter(logging.Filter):
    """Adds the ID of the current request to each log record, or "-"."""

    def filter(self, record: logging.LogRecord) -> bool:
        current = _current.get(None)
        record.request_id = current.id if current else "-"
        return True


class ContentSecurityPolicyMiddleware:
    """Restricts what pages load, and where forms go, to this site. (Django 6.0 and later have a setting for this.)"""

    POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.POLICY)
        return response
