"""A format of access log lines, in gunicorn's letters, compiled into one function.

Runs on the thread that finished a request, for each request: so the format becomes one expression of Python,
made of the fragments below and of nothing that a user wrote (literal text and field names are constants of the
function, not source). Every value that a peer or the application chose passes through `printable`.
"""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ropewalk.logs.clock import Clock
from ropewalk.logs.escape import is_plain, printable


@dataclass(slots=True)
class AccessRecord:
    """A request that was answered."""

    environ: dict[str, Any]
    """Of the request; what it lacks, as for a request that was refused before it had one, is logged as `-`."""
    status: str
    """As `start_response` was given it: `200 OK`."""
    headers: list[tuple[str, str]]
    body_bytes: int
    """Octets of content that were sent."""
    seconds: float
    complete: bool
    """Whether the whole response was sent."""
    queue: float | None = None
    """Seconds between the proxy in front and the application, where a trusted one tells."""
    application: float | None = None
    """Seconds of `seconds` in which the application ran; the rest is waiting to be sent, and sending."""
    receiving: float | None = None
    """Seconds from the first octet of the request to the last one."""
    waiting: float | None = None
    """Seconds from then until the application began: for a thread."""
    received_octets: int | None = None
    """Of the request: its head, its content and the framing of that."""

    @property
    def sending(self) -> float | None:
        """Seconds of `seconds` in which the answer waited to be sent, and was sent."""
        return None if self.application is None else max(0.0, self.seconds - self.application)


Line = Callable[[AccessRecord], str]

JSON = "json"
"""The format whose lines are JSON."""

_ATOM = re.compile(r"%(?:%|\(([^()]*)\)([a-zA-Z]?))|%")
_FIELD = re.compile(r"\{([^{}]+)\}([ioe])")

_FRAGMENTS = {
    "h": "text(get('REMOTE_ADDR'))",
    "l": "'-'",
    "u": "'-' if get('HTTP_AUTHORIZATION') is None else user(get('HTTP_AUTHORIZATION'))",
    "t": "now()",
    "r": "request_line(get)",
    "m": "text(get('REQUEST_METHOD'))",
    "U": "text(get('PATH_INFO'))",
    "q": "printable(get('QUERY_STRING') or '')",
    "H": "text(get('SERVER_PROTOCOL'))",
    "s": "text(record.status[:3])",
    "B": "record.body_bytes",
    "b": "record.body_bytes or '-'",
    "f": "text(get('HTTP_REFERER'))",
    "a": "text(get('HTTP_USER_AGENT'))",
    "T": "int(record.seconds)",
    "M": "int(record.seconds * 1000)",
    "D": "int(record.seconds * 1000000)",
    "L": "'%.6f' % record.seconds",
    "p": "process()",
}
"""Apache httpd's letters as gunicorn has them; T, M, D and L are the duration in seconds, milliseconds,
microseconds, and seconds with decimals."""

_FRAGMENTS |= {
    name: f"seconds(record.{name})" for name in ("receiving", "queue", "waiting", "application", "sending")
} | {"received": "text(record.received_octets)", "id": "text(get('ropewalk.request_id') or get('HTTP_X_REQUEST_ID'))"}
"""Our own, as the keys of the lines of JSON are named."""

LETTERS = " ".join(f"%({letter})s" for letter in _FRAGMENTS) + " %({name}i)s %({name}o)s %({name}e)s"


def compile_format(format: str) -> Line:
    """A function that writes the line of a record, without its end.

    `json` stands for a line of JSON. Raises ValueError with one line for a letter that is not known.
    """
    if format == JSON:
        from ropewalk.logs.access_json import json_line  # for those who log JSON

        return json_line
    parts: list[str] = []
    constants: dict[str, str] = {}
    template: list[str] = []
    position = 0
    for match in _ATOM.finditer(format):
        template.append(_literal(format[position : match.start()]))
        position = match.end()
        if match[0] == "%%":
            template.append("%%")
            continue
        template.append("%s")
        parts.append(_fragment(match, constants))
    template.append(_literal(format[position:]))
    source = _SOURCE.format(
        raw="".join(raw + ", " for raw in map(_raw, parts) if raw),
        values="".join((_raw(part) or part) + ", " for part in parts),
        safe="".join(part + ", " for part in parts),
    )
    names = {**_NAMES, **constants, "template": "".join(template)}
    exec(source, names)
    line: Line = names["line"]
    return line


_SOURCE = """\
def line(record):
    get = record.environ.get
    try:
        if is_plain("".join(({raw}))):
            return template % ({values})
    except TypeError:
        pass
    return template % ({safe})
"""
"""Nearly all values are text that needs no escape: they are looked at together. The join is a TypeError for any that is
no text or not there, which the application is free to make of its environ."""

_RAW = (
    (re.compile(r"text\((get\([^()]*\))\)"), r"\1 or '-'"),
    (re.compile(r"printable\((get\([^()]*\)) or ''\)"), r"\1 or ''"),
    (re.compile(r"request_line\(get\)"), "' '.join((get('REQUEST_METHOD'), get('RAW_URI'), get('SERVER_PROTOCOL')))"),
)


def _raw(part: str) -> str:
    """The value of a fragment before it is made safe for a line; "" for one that is safe as it is."""
    for pattern, raw in _RAW:
        if pattern.fullmatch(part):
            return pattern.sub(raw, part)
    return ""


def _literal(text: str) -> str:
    if not text.isprintable() and text.strip("\t"):
        raise ValueError("must be one line without control characters")
    return text


def _fragment(match: re.Match[str], constants: dict[str, str]) -> str:
    atom, conversion = match[1], match[2]
    if atom is None or conversion not in ("s", "d"):
        raise ValueError(f"{match[0]!r} is not one of {LETTERS} (and %% for a percent sign)")
    field = _FIELD.fullmatch(atom)
    if field is None:
        if atom not in _FRAGMENTS:
            raise ValueError(f"'%({atom})s' is not one of {LETTERS}")
        return _FRAGMENTS[atom]
    name = f"name_{len(constants)}"
    if field[2] == "i":
        constants[name] = _environ_key(field[1])
        return f"text(get({name}))"
    if field[2] == "o":
        constants[name] = field[1].lower()
        return f"field(record.headers, {name})"
    constants[name] = field[1]
    return f"text(get({name}))"


def _environ_key(field_name: str) -> str:
    key = field_name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


def _text(value: object) -> str:
    return printable(str(value)) if value not in (None, "") else "-"


def _seconds(duration: float | None) -> str:
    return "-" if duration is None else f"{duration:.6f}"


def _field(headers: list[tuple[str, str]], name: str) -> str:
    return printable(", ".join(value for key, value in headers if key.lower() == name)) or "-"


def _request_line(get: Callable[[str], Any]) -> str:
    method = get("REQUEST_METHOD")
    if method is None:
        return "-"
    target = get("RAW_URI") or get("REQUEST_URI")
    if target is None:
        query = get("QUERY_STRING")
        target = f"{get('SCRIPT_NAME') or ''}{get('PATH_INFO') or ''}" + (f"?{query}" if query else "")
    return printable(f"{method} {target} {get('SERVER_PROTOCOL') or '-'}")


def _user(authorization: object) -> str:
    """The user name of RFC 7617's Basic scheme; the password is never looked at twice."""
    if not isinstance(authorization, str) or authorization[:6].lower() != "basic ":
        return "-"
    try:
        credentials = binascii.a2b_base64(authorization[6:].strip().encode("latin-1"), strict_mode=True)
    except ValueError:
        return "-"
    return _text(credentials.partition(b":")[0].decode("latin-1"))


_NAMES: Mapping[str, Any] = {
    "__builtins__": {"int": int, "TypeError": TypeError},
    "text": _text,
    "seconds": _seconds,
    "field": _field,
    "printable": printable,
    "is_plain": is_plain,
    "request_line": _request_line,
    "user": _user,
    "now": Clock("[%d/%b/%Y:%H:%M:%S %z]"),
    "process": lambda: f"<{os.getpid()}>",
}
