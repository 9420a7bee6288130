"""Field names, and the table of received fields.

The table's keys are meta-variable names (RFC 3875 section 4.1.18: `Accept-Language` becomes `HTTP_ACCEPT_LANGUAGE`), as
the environ needs them, so that no field is renamed twice.
"""

from __future__ import annotations

from ropewalk.errors import ProtocolError
from ropewalk.http.underscores import DROP_ALL, DROPPED, UnderscoreNames

# RFC 9110 section 5.3 joins repeated fields with a comma, but these are not lists: if one is repeated, two readers
# could each use another of them.
SINGLETONS = frozenset({"HTTP_HOST", "CONTENT_LENGTH", "CONTENT_TYPE"})

# RFC 6265 section 5.4: cookies are joined with a semicolon.
COOKIE = "HTTP_COOKIE"

# Peers spell few different names; the limit keeps a hostile peer from filling memory with new ones.
MAX_CACHED_NAMES = 1024
_names: dict[str, str] = {}


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
        raise ProtocolError(400, f"repeated {key}")
    return earlier + ("; " if key == COOKIE else ", ") + later


def list_members(field_value: str) -> list[str]:
    """Return the members of a comma-separated list in lower case, empty ones left out (RFC 9110 section 5.6.1)."""
    return [member for part in field_value.split(",") if (member := part.strip(" \t").lower())]
