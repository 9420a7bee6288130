"""What happens to every request before and after its view."""

import contextvars
import logging
import re
import time
import uuid
from collections.abc import Callable

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

GetResponse = Callable[[HttpRequest], HttpResponse]

HEALTH_PATH = "/healthz"

_log = logging.getLogger(__name__)
_request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="-")
# What comes from outside goes into log lines: nothing but what ids are made of, and not much of it.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class HealthMiddleware:
    """Answers GET /healthz: 200 "ok" while the database answers, else 503.

    It stands before everything else, so it looks at no Host and is never redirected to https: whoever checks
    health speaks to an address, not to a name.
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
            _log.error("health check: the database does not answer: %s", error)
            return self._answer("the database does not answer\n", 503)
        return self._answer("ok\n", 200)

    def _answer(self, content: str, status: int) -> HttpResponse:
        headers = {
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return HttpResponse(content, status=status, content_type="text/plain; charset=utf-8", headers=headers)


class RequestIdMiddleware:
    """Notes when the application took the request, and under which id it is known.

    The proxy gives the id (X-Request-ID) and returns it to the client; without a proxy one is made here.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request.id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request.taken_at = time.time()
        # Not taken back: Django logs the answer after the last middleware. A thread's next request sets its own.
        _request_id.set(request.id)
        return self.get_response(request)


class RequestIdFilter(logging.Filter):
    """Gives each log record the id of the request that this thread is working for, or "-"."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = _request_id.get()
        return True


class ContentSecurityPolicyMiddleware:
    """Nothing may be loaded, framed or sent to but this site. (Django has a setting for this from 6.0 on.)"""

    POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.POLICY)
        return response
