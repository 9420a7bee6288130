"""Field names with an underscore, and what becomes of them.

`X_A` and `X-A` are different fields (RFC 9110 section 5.1) with the same meta-variable, HTTP_X_A (RFC 3875 section
4.1.18). If both reached the application as one, a client could pass a proxy that sets or removes only the one with the
hyphen. So they are dropped, as nginx drops them, unless the operator says otherwise. Pure, from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from ropewalk.errors import ProtocolError

HeaderMap = Literal["drop", "refuse", "dangerous"]

DROPPED = ""
"""The key, in a table of fields, of those that are dropped."""

RESERVED = frozenset(
    {"CONTENT_LENGTH", "CONTENT_TYPE", "TRANSFER_ENCODING", "X_REAL_IP", "X_REQUEST_ID", "X_REQUEST_START"}
)
"""Names, in capitals, of fields that the server itself evaluates with hyphens, or that proxies vouch for; so are all
that begin with `RESERVED_PREFIX`. They are never mapped: a body would be framed by a field that no proxy understood."""

RESERVED_PREFIX = "X_FORWARDED_"

_OF_PROXY = "proxy:"  # in front of a name while a table is made: no meta-variable has a colon


class FieldTable(dict[str, str]):
    """A table of fields, and `of_proxy`: those with names that only a trusted proxy may send, by name in capitals."""

    __slots__ = ("of_proxy",)

    of_proxy: dict[str, str]


class UnderscoreNames:
    """`mode`: drop them, refuse the request with 400, or map them as if the underscores were hyphens (dangerous).

    `of_proxy` are names in capitals, such as SCRIPT_NAME, which are kept apart (`FieldTable`), since the parser does
    not know whom to trust. `on_dropped` is called with each name that is dropped.
    """

    def __init__(
        self, mode: HeaderMap = "drop", of_proxy: Iterable[str] = (), on_dropped: Callable[[str], None] | None = None
    ) -> None:
        self._mode = mode
        self._of_proxy = frozenset(of_proxy)
        self._on_dropped = on_dropped

    def key(self, field_name: str) -> str:
        """The key of a field in the table that is being made, or `DROPPED`. Raises `ProtocolError` 400."""
        name = field_name.upper().replace("-", "_")
        if name in self._of_proxy and "-" not in field_name:
            return _OF_PROXY + name
        if self._mode == "refuse":
            raise ProtocolError(400, f"an underscore in the field name {field_name[:80]!r} (--header-map)")
        if self._mode == "dangerous" and name not in RESERVED and not name.startswith(RESERVED_PREFIX):
            return f"HTTP_{name}"
        if self._on_dropped is not None:
            self._on_dropped(field_name)
        return DROPPED

    def separated(self, table: dict[str, str]) -> dict[str, str]:
        """The table that was made, as a `FieldTable` if it has fields of a proxy."""
        if not self._of_proxy:
            return table
        of_proxy = {key.removeprefix(_OF_PROXY): table[key] for key in table if key.startswith(_OF_PROXY)}
        if not of_proxy:
            return table
        separated = FieldTable((key, value) for key, value in table.items() if not key.startswith(_OF_PROXY))
        separated.of_proxy = of_proxy
        return separated


DROP_ALL = UnderscoreNames()
