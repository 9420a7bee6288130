"""The request head (RFC 9112 sections 2.2, 3 and 5): from octets to a `RequestHead`.

A head that arrives in one piece is matched at once (`parse_head`). One that arrives in pieces is first checked line by
line (`HeadScanner`), so that an error is answered as soon as its line is there. The same octets give the same result
however they are split: when the match fails, the scanner finds the reason.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ropewalk.errors import TLS_ON_HTTP, ProtocolError
from ropewalk.http import grammar
from ropewalk.http.fields import field_table, list_members, quick_table
from ropewalk.http.target import parse_target
from ropewalk.http.underscores import DROP_ALL, UnderscoreNames

HTTP_10: Final = 10
HTTP_11: Final = 11

CHUNKED: Final = -1  # RequestHead.content_length of a chunked message

HANDSHAKE_RECORD: Final = 0x16  # RFC 8446 section 5.1: the first octet of a TLS handshake, which begins no method

END_OF_HEAD: Final = b"\r\n\r\n"

# A head up to this many octets is kept until the next one of its connection: an idle connection must stay cheap.
MAX_KEPT: Final = 1024


class HeadLimits:
    """Limits above which a head is refused, in octets and fields; a line counts without its CRLF. Immutable.

    `underscores` says what becomes of field names with an underscore.
    """

    __slots__ = ("field_line", "fields", "head", "request_line", "shortest", "underscores")

    def __init__(
        self,
        request_line: int = 8190,  # RFC 9112 section 3 recommends at least 8000; Apache and gunicorn allow 8190
        field_line: int = 8190,  # the same
        fields: int = 100,  # what Apache and gunicorn allow
        head: int = 64 * 1024,  # eight full lines; nginx's large_client_header_buffers default is 4 x 8 KiB
        underscores: UnderscoreNames = DROP_ALL,
    ) -> None:
        self.request_line = request_line
        self.field_line = field_line
        self.fields = fields
        self.head = head
        self.underscores = underscores
        self.shortest = min(request_line, field_line, head)  # a head no longer than this exceeds no limit but `fields`


class RequestHead:
    """A valid request head.

    `fields` is keyed by meta-variable name (`ropewalk.http.fields`). `content_length` is in octets, 0 when there is no
    content, `CHUNKED` when the transfer coding delimits it. `is_persistent`: the peer keeps the connection open for
    another request (RFC 9112 section 9.3). `field_text` is the field lines as received, None where a later head cannot
    be compared with them; `fields` may be shared with a later head and must not be changed.
    """

    __slots__ = (
        "content_length",
        "expects_continue",
        "field_text",
        "fields",
        "is_https_target",
        "is_persistent",
        "method",
        "path",
        "query",
        "request_target",
        "version",
    )

    def __init__(
        self,
        method: str,
        request_target: str,
        path: str,
        query: str,
        version: int,
        fields: dict[str, str],
        content_length: int = 0,
        is_persistent: bool = False,
        expects_continue: bool = False,
        field_text: str | None = None,
    ) -> None:
        self.method = method
        self.request_target = request_target
        self.path = path
        self.query = query
        self.version = version
        self.fields = fields
        self.content_length = content_length
        self.is_persistent = is_persistent
        self.expects_continue = expects_continue
        self.is_https_target = False  # the target is in absolute-form with the scheme https
        self.field_text = field_text


def quick_head(text: str, limits: HeadLimits, previous: RequestHead | None = None) -> RequestHead | None:
    """As `parse_head`, for what most heads are; None for another one, and for text that holds an empty line."""
    match = grammar.PLAIN_HEAD.match(text) if len(text) + 2 <= limits.shortest else None
    if match is None:
        return None
    method, request_target, path, query, minor, field_text = match.groups("")
    if "%" in path or method == "CONNECT":
        return None
    version = HTTP_10 if minor == "0" else HTTP_11  # RFC 9110 section 2.5: a higher minor version is read as HTTP/1.1
    if (  # fast path of all that follows; test_head_is_read_the_same_after_any_other holds them equal
        previous is not None and previous.field_text == field_text and previous.version == version
    ):
        return RequestHead(
            method,
            request_target,
            path,
            query,
            version,
            previous.fields,
            previous.content_length,
            previous.is_persistent,
            previous.expects_continue,
            field_text,
        )
    fields = quick_table(field_text)
    if fields is None or len(fields) > limits.fields:
        return None
    head = RequestHead(method, request_target, path, query, version, fields, 0, version >= HTTP_11, False, None)
    _check_host(head, None)
    _read_framing(head)
    if len(text) <= MAX_KEPT:
        head.field_text = field_text
    return head


def parse_head(text: str, limits: HeadLimits, previous: RequestHead | None = None) -> RequestHead:
    """Parse a whole head, decoded as ISO-8859-1, with the CRLF of its last line and without the empty line.

    `previous` is the previous head of the same connection: a peer mostly repeats its field lines, which then need not
    be parsed again. Raises `ProtocolError`: 400 grammar, 414 request line, 417 expectation, 431 fields, 501 coding or
    method, 505.
    """
    # fast path of the rest; test_a_plain_head_is_read_as_any_other holds them equal
    quick = quick_head(text, limits, previous)
    if quick is not None:
        return quick
    # fast path of `HeadScanner`, for a short head; test_how_octets_are_split_changes_nothing holds them equal
    if len(text) + 2 > limits.shortest:
        _scan(text, limits)
    method, request_target, minor, field_text = _split_head(text, limits)
    version = HTTP_10 if minor == "0" else HTTP_11
    fields = _parse_fields(text, field_text, limits)
    path, query, authority, is_https = parse_target(method, request_target)
    head = RequestHead(method, request_target, path, query, version, fields, 0, version >= HTTP_11, False, None)
    head.is_https_target = is_https
    _check_host(head, authority)
    _read_framing(head)
    if len(text) <= MAX_KEPT and authority is None:
        head.field_text = field_text
    return head


def _split_head(text: str, limits: HeadLimits) -> tuple[str, str, str, str]:
    """Return method, request target, minor version and field lines of a head."""
    match = grammar.REQUEST_LINE.match(text)
    if match is None:
        raise _refusal(text, limits)
    method, request_target, major, minor = match.groups()
    if major != "1":
        raise ProtocolError(505, f"HTTP/{major}.{minor}")
    return method, request_target, minor, text[match.end() :]


def _parse_fields(text: str, field_text: str, limits: HeadLimits) -> dict[str, str]:
    # fast path of the rest; test_quick_table_is_that_of_the_pattern_or_none holds them equal
    table = quick_table(field_text)
    if table is not None and len(table) <= limits.fields:
        return table
    found = grammar.FIELD_LINE.findall(field_text)
    if len(found) != field_text.count("\n") or len(found) > limits.fields:
        raise _refusal(text, limits)
    if " \r\n" in field_text or "\t\r\n" in field_text:
        found = [(name, value.rstrip(" \t")) for name, value in found]
    return field_table(found, limits.underscores)


@lru_cache(maxsize=256)  # a server has few names
def is_host(host: str) -> bool:
    """Whether `host` is a valid Host that is not empty (RFC 9110 section 7.2)."""
    return grammar.HOST.fullmatch(host) is not None


def _check_host(head: RequestHead, authority: str | None) -> None:
    """RFC 9112 section 3.2: exactly one valid Host in HTTP/1.1; section 3.2.2: absolute-form overrides it."""
    host = head.fields.get("HTTP_HOST")
    if host is None:
        if head.version >= HTTP_11:
            raise ProtocolError(400, "no Host")
    elif not is_host(host):
        raise ProtocolError(400, f"bad Host {host!r}")
    if authority is not None:
        head.fields["HTTP_HOST"] = authority


def _read_framing(head: RequestHead) -> None:
    """Evaluate the framing, connection and expectation fields (RFC 9112 sections 6 and 9.3, RFC 9110 10.1.1)."""
    fields = head.fields
    length = fields.get("CONTENT_LENGTH")
    if "HTTP_TRANSFER_ENCODING" in fields:
        _check_transfer_coding(head, length)
        head.content_length = CHUNKED
    elif length is not None:
        if not grammar.CONTENT_LENGTH.fullmatch(length):
            raise ProtocolError(400, f"bad Content-Length {length!r}")
        head.content_length = int(length)
    connection = fields.get("HTTP_CONNECTION")
    if connection is not None:
        options = list_members(connection)
        if "close" in options:
            head.is_persistent = False
        elif "keep-alive" in options:
            head.is_persistent = True
    if "HTTP_EXPECT" in fields and head.version >= HTTP_11:
        _check_expectation(head)


def _check_transfer_coding(head: RequestHead, length: str | None) -> None:
    """RFC 9112 sections 6.1 and 6.3: refuse whatever two readers could frame differently."""
    coding = head.fields["HTTP_TRANSFER_ENCODING"]
    if head.version < HTTP_11:
        raise ProtocolError(400, "Transfer-Encoding in HTTP/1.0")
    if length is not None:
        raise ProtocolError(400, "Transfer-Encoding with Content-Length")
    codings = list_members(coding)
    if codings.count("chunked") > 1 or "chunked" in codings[:-1] or not codings:
        raise ProtocolError(400, f"bad Transfer-Encoding {coding!r}")
    if codings != ["chunked"]:
        raise ProtocolError(501, f"unknown Transfer-Encoding {coding!r}")
    if coding.lower() != "chunked":
        raise ProtocolError(400, f"bad Transfer-Encoding {coding!r}")  # an empty list member


def _check_expectation(head: RequestHead) -> None:
    if list_members(head.fields["HTTP_EXPECT"]) != ["100-continue"]:
        raise ProtocolError(417, f"unknown expectation {head.fields['HTTP_EXPECT']!r}")
    head.expects_continue = head.content_length != 0


class HeadScanner:
    """Checks the lines of a head that is still arriving, each line once, and refuses the first bad one.

    Linear in the octets received: `_position` is the start of the first incomplete line, and line feeds have been
    searched for up to `_seen`.
    """

    __slots__ = ("_fields", "_limits", "_position", "_seen")

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._position = 0
        self._seen = 0
        self._fields = -1  # the request line comes before the first field

    def scan(self, data: bytes | bytearray) -> int:
        """Return the length of the head with its empty line, or 0 while it is incomplete.

        `data` is everything received of the head so far, at least one octet. Raises `ProtocolError` at the first bad
        line.
        """
        if not self._position and not grammar.TOKEN.match(chr(data[0])):
            raise ProtocolError(
                400, TLS_ON_HTTP if data[0] == HANDSHAKE_RECORD else f"no method in {bytes(data[:40])!r}"
            )
        while (line_feed := data.find(b"\n", self._seen)) >= 0:
            line = bytes(data[self._position : line_feed + 1]).decode("latin-1")
            self._seen = self._position = line_feed + 1
            if line == "\r\n" and self._fields >= 0:
                self._check_total(self._position)
                return self._position
            self._check_line(line)
        self._seen = len(data)
        self._check_incomplete(data)
        return 0

    def _check_line(self, line: str) -> None:
        self._check_length(len(line) - 2, line)
        self._check_total(self._position + 2)  # the empty line follows
        if self._fields < 0:
            _check_request_line(line)
        elif not grammar.FIELD_LINE.fullmatch(line):
            raise ProtocolError(400, f"bad field line {line[:80]!r}")
        self._fields += 1
        if self._fields > self._limits.fields:
            raise ProtocolError(431, f"more than {self._limits.fields} fields")

    def _check_length(self, length: int, line: str | bytes | bytearray) -> None:
        if self._fields < 0:
            limit = self._limits.request_line
            if length > limit:
                # RFC 9112 section 3: 501 for a method longer than any that is implemented, 414 for such a target.
                start = line[: limit + 1]
                if grammar.TOKEN.fullmatch(start if isinstance(start, str) else start.decode("latin-1")):
                    raise ProtocolError(501, f"method over {limit} octets")
                raise ProtocolError(414, f"request line over {limit} octets")
        elif length > self._limits.field_line:
            raise ProtocolError(431, f"field over {self._limits.field_line} octets")

    def _check_total(self, length: int) -> None:
        if length > self._limits.head:
            raise ProtocolError(431, f"head over {self._limits.head} octets")

    def _check_incomplete(self, data: bytes | bytearray) -> None:
        self._check_length(len(data) - self._position - 1, data)  # the last octet may be the CR of the line's end
        self._check_total(len(data))


def _check_request_line(line: str) -> None:
    match = grammar.REQUEST_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError(400, f"bad request line {line[:80]!r}")
    if match[3] != "1":
        raise ProtocolError(505, f"HTTP/{match[3]}.{match[4]}")


def _scan(text: str, limits: HeadLimits) -> None:
    HeadScanner(limits).scan((text + "\r\n").encode("latin-1"))


def _refusal(text: str, limits: HeadLimits) -> ProtocolError:
    try:
        _scan(text, limits)
    except ProtocolError as error:
        return error
    return ProtocolError(400, "bad head")
