"""In front of an application under development: a page for each exception, and one for why it cannot be loaded.

A page in a browser waits by requests with `WAIT`, which names the generation of the worker that made the page. Only a
worker of a later generation has the page load itself again, so no old one can be the one that then responds. One of the
same generation keeps the request for a while, or until it is replaced, and then has the page ask again: the next
request is for the worker that takes connections then. An earlier one, to which a connection is still open, has the page
ask again at once. None of these requests reaches the application.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ropewalk.debugging.origin import Guard
from ropewalk.debugging.page import CONTENT_TYPES, render
from ropewalk.debugging.report import Report, report_of
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.wsgi.application_errors import begin_in_application, no_iterable
from ropewalk.wsgi.environ import Environ

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication

WAIT = "HTTP_X_ROPEWALK_WAIT"
WAIT_SECONDS = 20.0  # less than the default --timeout; the page asks again
HAS_WAITED = "ropewalk.debugging.has_waited"
"""In the environ of such a request, once it was responded to."""

PLAIN = "The application cannot be loaded. The terminal of the server says why.\n"

PROTECTED = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]


class Debugger:
    """Makes applications that show errors."""

    def __init__(
        self, guard: Guard, is_ending: threading.Event | None, *, shows_locals: bool, generation: str = ""
    ) -> None:
        """`is_ending` is set when the worker is replaced; None if nothing watches files.

        `generation` is that of the worker, a number in digits: each restart has a greater one.
        """
        self._guard = guard
        self._is_ending = is_ending
        self._shows_locals = shows_locals
        self._generation = generation

    def answering(self, application: WSGIApplication) -> WSGIApplication:
        """`application`, without the requests of pages that wait."""

        def answered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            if WAIT not in environ or self._guard.refusal(environ):
                return application(environ, start_response)
            return self._wait(environ, start_response)

        return answered

    def watching(self, application: WSGIApplication) -> WSGIApplication:
        """`application`, with a page for what it raises."""

        def debugged(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            try:
                iterable = application(environ, start_response)
            except Exception as error:  # noqa: BLE001 - it is to be seen
                return self._show(error, environ, start_response)
            if type(iterable) in (list, tuple) or hasattr(iterable, "filelike"):
                return iterable
            if mistake := no_iterable(type(iterable)):
                return self._show(mistake, environ, start_response)
            return _Watched(iterable, lambda error: self._show(error, environ, start_response))

        return debugged

    def showing(self, error: BaseException) -> WSGIApplication:
        """An application that only says why another one cannot be loaded."""
        cause = error.__cause__ if isinstance(error, ConfigError) else None
        report = report_of(error if cause is None else cause, with_locals=self._shows_locals)
        report.is_of_loading = True
        if isinstance(error, ConfigError):
            report.intro = str(error)

        def failed(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            refusal = self._guard.refusal(environ)
            if not refusal:
                return self._respond(report, environ, start_response)
            get_logger().warning("No page about the failure: %s", refusal)
            content = PLAIN.encode()
            start_response(
                "500 Internal Server Error",
                [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(content)))],
            )
            return [content]

        return failed

    def _wait(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """204 to a page of an earlier generation, which loads itself again; 205 to the others, which ask again.

        To a page of this generation later.
        """
        shown = environ[WAIT]
        if shown == self._generation and self._is_ending is not None:
            self._is_ending.wait(WAIT_SECONDS)
        environ[HAS_WAITED] = True
        start_response("204 No Content" if self._is_later_than(shown) else "205 Reset Content", PROTECTED.copy())
        return []

    def _is_later_than(self, shown: str) -> bool:
        """Also than what a browser sends that is no generation."""
        if not (shown.isdigit() and shown.isascii() and self._generation):
            return shown != self._generation
        return (len(self._generation), self._generation) > (len(shown), shown)  # of any length, which int() is not for

    def _show(self, error: Exception, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        refusal = self._guard.refusal(environ)
        if refusal:
            get_logger().warning("No page of --debug: %s", refusal)
            raise error
        begin_in_application(error)
        what = f"{environ['REQUEST_METHOD']} {environ.get('RAW_URI', '')[:200]!r}"
        get_logger().error("%s: the application raised %s", what, type(error).__name__, exc_info=error)
        report = report_of(error, with_locals=self._shows_locals)
        return self._respond(report, environ, start_response, sys.exc_info())

    def _respond(
        self, report: Report, environ: Environ, start_response: StartResponse, exc_info: Any = None
    ) -> Iterable[bytes]:
        kind = _preferred(environ.get("HTTP_ACCEPT", ""))
        content, policy = render(report, environ, kind, "" if self._is_ending is None else self._generation)
        headers = [
            ("Content-Type", CONTENT_TYPES[kind]),
            ("Content-Length", str(len(content))),
            ("Content-Security-Policy", policy),
            *PROTECTED,
        ]
        if exc_info is None:
            start_response("500 Internal Server Error", headers)
        else:
            # Raises the exception again if the response has begun.
            start_response("500 Internal Server Error", headers, exc_info)
        return [content]


class _Watched:
    """The iterable of a response, whose exception becomes a page."""

    def __init__(self, iterable: Any, show: Any) -> None:
        self._iterable = iterable
        self._show = show

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._iterable
        except Exception as error:  # noqa: BLE001 - it is to be seen
            yield from self._show(error)

    def close(self) -> None:
        close = getattr(self._iterable, "close", None)
        if close is not None:
            close()


def _preferred(accept: str) -> str:
    """`html`, `json` or `text`, by the Accept field of a request."""
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if kinds & {"text/html", "application/xhtml+xml"}:
        return "html"
    return "json" if any(kind == "application/json" or kind.endswith("+json") for kind in kinds) else "text"
