"""Field names, and what a table of received fields is keyed by.

A received field is kept under its meta-variable name (RFC 3875 section 4.1.18: `Accept-Language` becomes
`HTTP_ACCEPT_LANGUAGE`), which is the form in which the layers above need it, so that no field is renamed twice.
"""

from __future__ import annotations

from ropewalk.errors import ProtocolError

# RFC 9110 section 5.3 joins repeated fields with a comma, but these are not lists: a second one means that
# two readers could each take another.
SINGLETONS = frozenset({"HTTP_HOST", "CONTENT_LENGTH", "CONTENT_TYPE"})

# RFC 6265 section 5.4: cookies are joined with a semicolon.
COOKIE = "HTTP_COOKIE"

# Names as peers spell them are few; the cap keeps a hostile peer from filling memory with new ones.
MAX_CACHED_NAMES = 1024
_names: dict[str, str] = {}

# A field whose name holds "_" would collide with the one that holds "-" and could be forged past a proxy that
# only cleans the latter; it is dropped, as nginx drops it.
DROPPED = ""


def meta_variable(field_name: str) -> str:
    """Return the meta-variable name of a field (RFC 3875 section 4.1), or `DROPPED`."""
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


def field_table(found: list[tuple[str, str]]) -> dict[str, str]:
    """Join `(field_name, field_value)` pairs into one table keyed by meta-variable (RFC 9110 section 5.3).

    Raises `ProtocolError` 400 when a field that is no list stands twice.
    """
    names = _names
    try:
        table = {names[field_name]: field_value for field_name, field_value in found}
    except KeyError:  # a spelling that was not seen yet
        table = {}
    if len(table) != len(found) or DROPPED in table:
        table = _careful_table(found)
    return table


def _careful_table(found: list[tuple[str, str]]) -> dict[str, str]:
    table: dict[str, str] = {}
    for field_name, field_value in found:
        key = meta_variable(field_name)
        if key not in table:
            table[key] = field_value
        elif key != DROPPED:
            table[key] = _joined(key, table[key], field_value)
    table.pop(DROPPED, None)
    return table


def _joined(key: str, earlier: str, later: str) -> str:
    if key in SINGLETONS:
        raise ProtocolError(400, f"{key} stands twice")
    return earlier + ("; " if key == COOKIE else ", ") + later


def list_members(field_value: str) -> list[str]:
    """Return the members of a comma-separated list in lower case, empty ones left out (RFC 9110 section 5.6.1)."""
    return [member for part in field_value.split(",") if (member := part.strip(" \t").lower())]
