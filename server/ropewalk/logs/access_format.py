"""A format of access log lines, in gunicorn's letters, compiled into one function.

The function runs for each request, on the thread that finished it. It is therefore one Python expression, made only of
the fragments below: literal text and field names from the format are constants of the function, never source. Every
value that the peer or the application chose is escaped (`escape`).
"""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from ropewalk.logs.access_record import Line, request_target
from ropewalk.logs.clock import Clock
from ropewalk.logs.escape import escape, is_plain
from ropewalk.logs.names import NO_NAMES, Names

JSON = "json"
"""The format whose lines are JSON."""

TERMINAL = "terminal"
"""The format whose lines are for a person."""

_ATOM = re.compile(r"%(?:%|\(([^()]*)\)([a-zA-Z]?))|%")
_FIELD = re.compile(r"\{([^{}]+)\}([ioe])")


class _Fragment(NamedTuple):
    """One value of a line, as source."""

    escaped: str
    """An expression whose value is safe in a line."""
    unescaped: str = ""
    """An expression of the same value before it is escaped, if the fast form can use that; "" if nothing is escaped.

    It has the same value when that is plain text. Otherwise its value is not plain, or it is not text at all.
    """


def _from_environ(key: str) -> _Fragment:
    """`key` is source too."""
    return _Fragment(f"text(get({key}))", f"get({key}) or '-'")


_FRAGMENTS = {
    "h": _from_environ("'REMOTE_ADDR'"),
    "l": _Fragment("'-'"),
    "u": _Fragment("'-' if get('HTTP_AUTHORIZATION') is None else user(get('HTTP_AUTHORIZATION'))"),
    "t": _Fragment("now()"),
    "r": _Fragment(
        "request_line(get)",
        "' '.join((get('REQUEST_METHOD'), get('RAW_URI') or get('REQUEST_URI'), get('SERVER_PROTOCOL') or '-'))",
    ),
    "m": _from_environ("'REQUEST_METHOD'"),
    "U": _from_environ("'PATH_INFO'"),
    "q": _Fragment("escape(str(get('QUERY_STRING') or ''))", "get('QUERY_STRING') or ''"),
    "H": _from_environ("'SERVER_PROTOCOL'"),
    "s": _Fragment("text(record.status[:3])", "record.status[:3] or '-'"),
    "B": _Fragment("record.body_bytes"),
    "b": _Fragment("record.body_bytes or '-'"),
    "f": _from_environ("'HTTP_REFERER'"),
    "a": _from_environ("'HTTP_USER_AGENT'"),
    "T": _Fragment("int(record.seconds)"),
    "M": _Fragment("int(record.seconds * 1000)"),
    "D": _Fragment("int(record.seconds * 1000000)"),
    "L": _Fragment("'%.6f' % record.seconds"),
    "p": _Fragment("process()"),
}
"""Apache httpd's letters as gunicorn has them; T, M, D and L are the duration in seconds, milliseconds,
microseconds, and seconds with decimals."""

_FRAGMENTS |= {
    "receiving": _Fragment("seconds(record.receiving)"),
    "queue": _Fragment("seconds(record.queue)"),
    "waiting": _Fragment("seconds(record.waiting)"),
    "application": _Fragment("seconds(record.application)"),
    "sending": _Fragment("seconds(record.sending)"),
    "received": _Fragment("'-' if record.request_bytes is None else record.request_bytes"),
    "id": _Fragment("text(record.request_id)"),
}
"""Ropewalk's own, named as the keys of the JSON lines."""

LETTERS = " ".join(f"%({letter})s" for letter in _FRAGMENTS) + " %({name}i)s %({name}o)s %({name}e)s"


def compile_format(format: str, descriptor: int = -1, names: Names = NO_NAMES) -> Line:
    """A function that returns the line of a record, without a line end.

    The format `json` gives lines of JSON, and `terminal` lines for a person, in color if `descriptor`, to which they
    are written, is a terminal. Those of JSON have the `names`. Raises ValueError, with one line, for an unknown letter.
    """
    if format == JSON:
        from ropewalk.logs.access_json import json_line  # not needed for plain lines

        return partial(json_line, names=names.as_keys()) if any(names) else json_line
    if format == TERMINAL:
        from ropewalk.logs.access_terminal import make_line  # not needed in a pipe or a file

        return make_line(descriptor)
    fragments: list[_Fragment] = []
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
        fragments.append(_fragment(match, constants))
    template.append(_literal(format[position:]))
    source = _SOURCE.format(
        unescaped=_listed(f"(value_{n} := {each.unescaped})" for n, each in enumerate(fragments) if each.unescaped),
        plain=_listed(f"value_{n}" if each.unescaped else each.escaped for n, each in enumerate(fragments)),
        escaped=_listed(each.escaped for each in fragments),
    )
    known = {**_NAMES, **constants, "template": "".join(template)}
    exec(source, known)
    line: Line = known["line"]
    return line


_SOURCE = """\
def line(record):
    get = record.environ.get
    try:  # fast path of the escaped line; test_a_plain_line_equals_the_escaped_one holds them equal
        if is_plain("".join(({unescaped}))):
            return template % ({plain})
    except TypeError:
        pass
    return template % ({escaped})
"""
"""Nearly all values are text that needs no escaping, so one test covers them all. It raises TypeError if one is missing
or is not text; an application may put anything into its environ."""


def _listed(expressions: Iterable[str]) -> str:
    return "".join(f"{expression}, " for expression in expressions)


def _literal(text: str) -> str:
    if not text.isprintable() and text.strip("\t"):
        raise ValueError("must be one line without control characters")
    return text


def _fragment(match: re.Match[str], constants: dict[str, str]) -> _Fragment:
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
        return _from_environ(name)
    if field[2] == "o":
        constants[name] = field[1].lower()
        return _Fragment(f"field(record.headers, {name})")
    constants[name] = field[1]
    return _from_environ(name)


def _environ_key(field_name: str) -> str:
    key = field_name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


def _text(value: object) -> str:
    return escape(str(value)) if value else "-"


def _seconds(duration: float | None) -> str:
    return "-" if duration is None else f"{duration:.6f}"


def _field(headers: list[tuple[str, str]], name: str) -> str:
    return escape(", ".join(value for key, value in headers if key.lower() == name)) or "-"


def _request_line(get: Callable[[str], Any]) -> str:
    what = request_target(get)
    return what if what == "-" else f"{what} {_text(get('SERVER_PROTOCOL'))}"


def _user(authorization: object) -> str:
    """The user name of the Basic scheme (RFC 7617), without the password."""
    if not isinstance(authorization, str) or authorization[:6].lower() != "basic ":
        return "-"
    try:
        credentials = binascii.a2b_base64(authorization[6:].strip().encode("latin-1"), strict_mode=True)
    except ValueError:
        return "-"
    return _text(credentials.partition(b":")[0].decode("latin-1"))


_NAMES: Mapping[str, Any] = {
    "__builtins__": {"int": int, "str": str, "TypeError": TypeError},
    "text": _text,
    "seconds": _seconds,
    "field": _field,
    "escape": escape,
    "is_plain": is_plain,
    "request_line": _request_line,
    "user": _user,
    "now": Clock("[%d/%b/%Y:%H:%M:%S %z]"),
    "process": lambda: f"<{os.getpid()}>",
}
