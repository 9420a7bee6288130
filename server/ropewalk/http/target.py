"""The four forms of a request target (RFC 9112 section 3.2), and what each means."""

from __future__ import annotations

from ropewalk.errors import ProtocolError
from ropewalk.http import grammar

Target = tuple[str, str, str | None, bool]
"""The path, percent-decoded to one character an octet; the query as sent; the authority of absolute-form (None in the
other forms); and whether the scheme is https."""


def parse_target(method: str, request_target: str) -> Target:
    """Parse a request target that matches the grammar of a request line.

    Raises `ProtocolError` 400 for a form that the method does not allow, 501 for CONNECT (RFC 9110 section
    9.3.6: an origin server need not support it).
    """
    if method == "CONNECT":
        raise ProtocolError(501, "CONNECT is not supported")
    if request_target[0] == "/":
        path, _, query = request_target.partition("?")
        # fast path of `decode_path`; test_a_path_without_percent_signs_is_itself holds them equal
        return path if "%" not in path else decode_path(path), query, None, False
    if request_target == "*":
        if method != "OPTIONS":
            raise ProtocolError(400, "asterisk-form without OPTIONS")
        return "/", "", None, False  # section 3.2.4: the server as a whole; every path of CGI and WSGI has a slash
    return _absolute(request_target)


def decode_path(path: str) -> str:
    """Percent-decode a path to one character an octet (PEP 3333, "Unicode Issues")."""
    if grammar.BAD_PERCENT_ENCODING.search(path):
        raise ProtocolError(400, "bad percent-encoding in the path")
    first, *rest = path.encode("latin-1").split(b"%")
    octets = [bytes.fromhex(part[:2].decode()) + part[2:] for part in rest]
    return b"".join([first, *octets]).decode("latin-1")


def _absolute(request_target: str) -> Target:
    match = grammar.ABSOLUTE_FORM.fullmatch(request_target)
    if match is None or not grammar.HOST.fullmatch(match[2]):
        raise ProtocolError(400, "request target of no known form")
    path, query = match[3], match[4] or ""
    return decode_path(path or "/"), query, match[2], match[1].lower() == "https"
