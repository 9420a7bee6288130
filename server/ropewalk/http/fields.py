"""Field names, and the table of received fields.

The table's keys are meta-variable names (RFC 3875 section 4.1.18: `Accept-Language` becomes `HTTP_ACCEPT_LANGUAGE`), as
the environ needs them, so that no field is renamed twice.
"""

from __future__ import annotations

from typing import Final

from ropewalk.errors import ProtocolError
from ropewalk.http.underscores import DROP_ALL, DROPPED, UnderscoreNames

# RFC 9110 section 5.3 joins repeated fields with a comma, but these are not lists: if one is repeated, two readers
# could each use another of them.
SINGLETONS: Final = frozenset({"HTTP_HOST", "CONTENT_LENGTH", "CONTENT_TYPE"})

# RFC 6265 section 5.4: cookies are joined with a semicolon.
COOKIE: Final = "HTTP_COOKIE"

# Peers spell few different names; the limit keeps a hostile peer from filling memory with new ones.
MAX_CACHED_NAMES: Final = 1024
_names: Final[dict[str, str]] = {}

# Field lines as received. Peers, and a proxy for many of them, repeat most of theirs.
MAX_CACHED_LINES: Final = 2048
MAX_CACHED_LINE: Final = 200
_lines: Final[dict[str, tuple[str, str]]] = {}

# What is secret, or different each time.
NEVER_CACHED: Final = frozenset(
    {
        *("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_PROXY_AUTHORIZATION"),
        *("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_X_REQUEST_ID", "HTTP_X_REQUEST_START"),
    }
)


def meta_variable(field_name: str) -> str:
    """Return the meta-variable name of a field (RFC 3875 section 4.1), or `DROPPED` for one with an underscore."""
    key = _names.get(field_name)
    if key is None:
        key = _make_meta_variable(field_name)
        if len(_names) < MAX_CACHED_NAMES:
            _names[field_name] = key
    return key


def _make_meta_variable(field_name: str) -> str:
    if "_" in field_name:
        return DROPPED
    key = field_name.upper().replace("-", "_")
    return key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else "HTTP_" + key


def field_table(found: list[tuple[str, str]], underscores: UnderscoreNames = DROP_ALL) -> dict[str, str]:
    """Join `(field_name, field_value)` pairs into one table keyed by meta-variable (RFC 9110 section 5.3).

    `underscores` says what becomes of names with one. Raises `ProtocolError` 400 when a field that is not a list is
    repeated, and for what `underscores` refuses.
    """
    # fast path of `_joined_table`; test_a_table_equals_the_joined_one holds them equal
    names = _names
    try:
        table = {names[field_name]: field_value for field_name, field_value in found}
    except KeyError:  # a spelling that is not cached
        table = {}
    if len(table) != len(found) or DROPPED in table:
        table = _joined_table(found, underscores)
    return table


def _joined_table(found: list[tuple[str, str]], underscores: UnderscoreNames) -> dict[str, str]:
    table: dict[str, str] = {}
    for field_name, field_value in found:
        key = meta_variable(field_name) or underscores.key(field_name)
        if key not in table:
            table[key] = field_value
        elif key != DROPPED:
            table[key] = _joined(key, table[key], field_value)
    table.pop(DROPPED, None)
    return underscores.separated(table)


def _joined(key: str, earlier: str, later: str) -> str:
    if key in SINGLETONS:
        raise ProtocolError(400, f"repeated {key.removeprefix('HTTP_').replace('_', '-').title()}")
    return earlier + ("; " if key == COOKIE else ", ") + later


NOT_KEPT: Final = "\r\n"  # equals no line, since it is what lines are split at


class _LikelyLines:
    """The lines of a head, some of which will come again, and the table that they gave.

    Fields in `NEVER_CACHED` are left out: `NOT_KEPT` takes the place of their lines, and "" that of their values.
    `others` counts the heads that it did not fit; that threads may lose one of them is harmless.
    """

    __slots__ = ("keys", "lines", "others", "table")

    def __init__(self, lines: list[str], table: dict[str, str]) -> None:
        self.keys = list(table)
        self.lines = [NOT_KEPT if key in NEVER_CACHED else line for key, line in zip(self.keys, lines, strict=True)]
        self.table = {key: "" if key in NEVER_CACHED else value for key, value in table.items()}
        self.others = 0


# By the number of lines: the heads of one client, or that a proxy passes on, have much in common with the one before.
# To make these costs more than it saves once, so that heads of two kinds must not replace each other's all the time.
MAX_LIKELY: Final = 32
MAX_OTHERS: Final = 64
_likely: Final[dict[int, _LikelyLines]] = {}


def quick_table(field_text: str) -> dict[str, str] | None:
    """The table of usual field lines, each with its CRLF; None for lines that need `field_table`.

    Those are a line that is not valid, not in ASCII, or without a space after the colon, a name that was never seen or
    has an underscore, and a field that is repeated.
    """
    if not field_text.isascii():
        return None
    lines = field_text.split("\r\n")
    lines.pop()  # the end of the last line
    # fast path of the rest; test_quick_table_is_that_of_the_pattern_or_none holds them equal
    likely = _likely.get(len(lines))
    table = None if likely is None else _table_by(likely, lines)
    if table is not None:
        return table
    table = {}
    for line in lines:
        field = _lines.get(line) or _read_line(line)
        if field is None:
            return None
        key, table[key] = field
    if len(table) < len(lines):
        return None
    if likely is not None and likely.others < MAX_OTHERS:
        likely.others += 1
    elif len(lines) <= MAX_LIKELY:
        _likely[len(lines)] = _LikelyLines(lines, table)
    return table


def _table_by(likely: _LikelyLines, lines: list[str]) -> dict[str, str] | None:
    """The table of lines that have the names of `likely`, in its order; None for others."""
    table = likely.table.copy()
    keys, expected_lines = likely.keys, likely.lines
    for i, line in enumerate(lines):
        expected = expected_lines[i]
        if line == expected:
            continue
        key = keys[i]
        field = _lines.get(line) if expected is not NOT_KEPT else None
        if field is not None:
            if field[0] != key:
                return None
            table[key] = field[1]
            continue
        # as `_read_line`, without a call
        field_name, colon, value = line.partition(": ")
        if _names.get(field_name) != key or not colon or not value.isprintable():
            return None
        table[key] = value = value.strip(" ")
        if expected is not NOT_KEPT and len(line) <= MAX_CACHED_LINE:
            _cache_line(line, key, value)
    return table


def _read_line(line: str) -> tuple[str, str] | None:
    field_name, colon, value = line.partition(": ")
    key = _names.get(field_name)  # has only valid names
    if not key or not colon or not value.isprintable():
        return None
    value = value.strip(" ")
    if key not in NEVER_CACHED and len(line) <= MAX_CACHED_LINE:
        _cache_line(line, key, value)
    return key, value


def _cache_line(line: str, key: str, value: str) -> None:
    if len(_lines) >= MAX_CACHED_LINES:
        _lines.clear()  # a peer may have filled it; the lines in use are soon there again
    _lines[line] = key, value


def list_members(field_value: str) -> list[str]:
    """Return the members of a comma-separated list in lower case, empty ones left out (RFC 9110 section 5.6.1)."""
    return [member for part in field_value.split(",") if (member := part.strip(" \t").lower())]
