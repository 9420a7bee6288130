"""What a request handler that a program has written for Werkzeug's server may say of a request."""

from __future__ import annotations

import sys
from typing import Any

from ropewalk.dev.handlers import RequestFacts, above, refuse_other_methods, refuse_overrides
from ropewalk.dev.werkzeug_log import log, readable_target, styled_request

HONOURED = frozenset(
    {
        *("address_string", "log", "log_date_time_string", "log_error", "log_message", "log_request", "make_environ"),
        *("port_integer", "protocol_version"),
    }
)
"""Methods and attributes of a handler that count here."""

WITHOUT_EFFECT = frozenset(
    {
        *(
            "default_request_version",
            "disable_nagle_algorithm",
            "error_content_type",
            "error_message_format",
            "rbufsize",
        ),
        *("server_version", "sys_version", "timeout", "wbufsize"),
        *("connection_dropped", "run_wsgi"),
    }
)
"""Attributes, and methods of Werkzeug's alone, that do not: a class that has one of its own is refused."""


class WSGIRequestHandler(RequestFacts):
    """The environ of a request, and its line in the log: what a subclass may change."""

    protocol_version = "HTTP/1.1"

    def make_environ(self) -> dict[str, Any]:
        """The environ that the application gets."""
        return self.environ

    def address_string(self) -> str:
        """The address of the client; `<local>` at a Unix socket."""
        return self.client_address[0] or "<local>"

    def port_integer(self) -> int:
        return self.client_address[1]

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log the request, after its response. `size` is not known here."""
        line = f"{self.command} {readable_target(self.path)} {self.request_version}" if self.path else self.requestline
        self.log("info", '"%s" %s %s', styled_request(line, str(code)), code, size)

    def log_error(self, format: str, *args: Any) -> None:
        self.log("error", format, *args)

    def log_message(self, format: str, *args: Any) -> None:
        self.log("info", format, *args)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log a message, after the address of the client and the time."""
        address = self.address_string().replace("%", "%%")  # the zone of an IPv6 address
        log(type, f"{address} - - [{self.log_date_time_string()}] {message}", *args)


def adapted(given: type) -> type[WSGIRequestHandler]:
    """The class of the program, with what serves here in place of its base.

    Raises TypeError, which names what is not possible: another base, or something that has no effect here.
    """
    if issubclass(given, WSGIRequestHandler):
        own, original = given, WSGIRequestHandler
    else:
        serving = sys.modules.get("werkzeug.serving")  # of which it must be a subclass: then it is imported
        if serving is None or not issubclass(given, serving.WSGIRequestHandler):
            raise TypeError(f"{given.__name__}: must be a subclass of WSGIRequestHandler")
        original = serving.WSGIRequestHandler
        between = type("WSGIRequestHandler", (WSGIRequestHandler, original), {})
        own = above(given, between, original)
    refuse_other_methods(own, HONOURED, original, WSGIRequestHandler)
    refuse_overrides(own, WITHOUT_EFFECT, WSGIRequestHandler)
    return own
