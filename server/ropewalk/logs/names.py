"""The names of the node and the replica: `--node-name`, `--replica-name`. They tell the lines of many servers apart.

Settings allow only characters that need no escaping in a line, JSON included (`config.readers.name`).
"""

from __future__ import annotations

from typing import NamedTuple


class Names(NamedTuple):
    """Each may be empty."""

    node: str = ""
    replica: str = ""

    def as_keys(self) -> str:
        """Those that are set, as keys of a JSON object, each with a comma after it."""
        return "".join(f'"{key}":"{name}",' for key, name in self._asdict().items() if name)

    def as_prefix(self) -> str:
        """Those that are set, before the text of a plain line."""
        return f"[{'/'.join(filter(None, self))}] " if any(self) else ""


NO_NAMES = Names()
