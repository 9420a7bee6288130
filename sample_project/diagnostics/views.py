"""Responses for testing what lies between a client and the application. They exist with DIAGNOSTICS=1."""

import hashlib
import math
import re
import time
from collections.abc import Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect as redirect_to
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

MAX_SLOW_SECONDS = 30.0  # the default request timeout: anything longer could only end in a 504
MAX_PIECES = 1000
MAX_PIECE_BYTES = 1 << 20
READ_BYTES = 64 * 1024


class DeliberateError(Exception):
    """Raised by /raise."""


class _ParameterError(ValueError):
    pass


def _parameter(request: HttpRequest, name: str, default: float, most: float) -> float:
    try:
        value = float(request.GET.get(name, default))
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise _ParameterError(f"{name} must be a number from 0 to {most:g}")
    return value


def _without_secrets(cookies: str) -> str:
    """The Cookie field without the values of the session and the CSRF token, which scripts must not read here."""
    names = "|".join(map(re.escape, (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)))
    return re.sub(rf"\b({names})=[^;,\s]*", r"\1=(hidden)", cookies)


@csrf_exempt
def echo(request: HttpRequest, tail: str = "") -> JsonResponse:
    """The request as the application received it, the body as its length and hash."""
    digest, length = hashlib.sha256(), 0
    while data := request.read(READ_BYTES):
        digest.update(data)
        length += len(data)
    headers = dict(sorted(request.headers.items()))
    if "Cookie" in headers:
        headers["Cookie"] = _without_secrets(headers["Cookie"])
    return JsonResponse(
        {
            "method": request.method,
            "path": request.path,
            "tail": tail,
            "query_string": request.META.get("QUERY_STRING"),
            "query": {name: request.GET.getlist(name) for name in request.GET},
            "http_version": request.META.get("SERVER_PROTOCOL"),
            "script_name": request.META.get("SCRIPT_NAME"),
            "headers": headers,
            "body": {"length": length, "sha256": digest.hexdigest()},
        },
        json_dumps_params={"indent": 2},
    )


@require_safe
def slow(request: HttpRequest) -> HttpResponse:
    """Responds after `?seconds=` (1)."""
    try:
        seconds = _parameter(request, "seconds", 1.0, MAX_SLOW_SECONDS)
    except _ParameterError as error:
        return JsonResponse({"error": str(error)}, status=400)
    time.sleep(seconds)
    return HttpResponse(f"waited {seconds:g} s\n", content_type="text/plain; charset=utf-8")


def _pieces(count: int, size: int, delay: float) -> Iterator[bytes]:
    for index in range(count):
        if delay and index:
            time.sleep(delay)
        yield (b"%06d " % index * (size // 7 + 1))[: size - 1] + b"\n"


@require_safe
def stream(request: HttpRequest) -> HttpResponseBase:
    """Streams `?pieces=` (10) pieces of `?size=` (80) bytes, with `?delay=` (0) seconds between them."""
    try:
        count = int(_parameter(request, "pieces", 10, MAX_PIECES))
        size = max(1, int(_parameter(request, "size", 80, MAX_PIECE_BYTES)))
        delay = _parameter(request, "delay", 0, 2)
        if count * delay > MAX_SLOW_SECONDS:
            raise _ParameterError(f"pieces times delay must be {MAX_SLOW_SECONDS:g} seconds or less")
    except _ParameterError as error:
        return JsonResponse({"error": str(error)}, status=400)
    response = StreamingHttpResponse(_pieces(count, size, delay), content_type="text/plain; charset=utf-8")
    response.headers["X-Accel-Buffering"] = "no"
    return response


@csrf_exempt
def fail(request: HttpRequest) -> HttpResponse:
    """Raises an exception: the visitor sees templates/500.html, and the traceback is in the log."""
    raise DeliberateError("raised on purpose by /raise")


@require_safe
def redirect(request: HttpRequest) -> HttpResponse:
    return redirect_to("haven", name="malmö")


@require_safe
def cookies(request: HttpRequest) -> HttpResponse:
    """Sets three cookies and deletes a fourth: four Set-Cookie fields, which must not be combined."""
    response = HttpResponse("four cookies\n", content_type="text/plain; charset=utf-8")
    response.set_cookie("hemp", "from Riga", max_age=3600, httponly=True, samesite="Strict")
    response.set_cookie("tar", "warm, black", path="/cookies")
    response.set_cookie("yarns", "three", samesite="Lax")
    response.delete_cookie("knot")
    return response


@require_safe
def haven(request: HttpRequest, name: str) -> HttpResponse:
    """A path with non-ASCII characters, repeated in the response."""
    return HttpResponse(f"Hafen: {name}\n", content_type="text/plain; charset=utf-8")
