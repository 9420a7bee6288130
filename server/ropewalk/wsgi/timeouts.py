"""How long the application may take for a path: one time for all of them, and others for what begins with a prefix.

A pure table. It is asked only about requests that already take longer than the shortest of its times.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf


class RequestTimeouts:
    """`timeout` in seconds (0: for ever) for every path but those that begin with a prefix of `by_prefix`.

    Each item of `by_prefix` is `PREFIX=SECONDS`, as the setting has it; the longest prefix counts, and the
    last item of those for the same. A prefix is compared
    as nginx's `location` does, character by character, with the decoded path.
    """

    def __init__(self, timeout: float, by_prefix: Sequence[str] = ()) -> None:
        self._timeout = timeout or inf
        found = {}
        for item in by_prefix:
            prefix, _, seconds = item.rpartition("=")
            found[prefix.encode().decode("latin-1")] = float(seconds) or inf  # as PATH_INFO is
        self._by_prefix = sorted(found.items(), key=lambda item: -len(item[0]))

    @property
    def shortest(self) -> float:
        """The least time that any path has; 0 if none is limited."""
        least = min([self._timeout, *(seconds for _, seconds in self._by_prefix)])
        return 0.0 if least == inf else least

    @property
    def longest(self) -> float:
        """The most time that any path has; 0 if one is not limited."""
        most = max([self._timeout, *(seconds for _, seconds in self._by_prefix)])
        return 0.0 if most == inf else most

    def of(self, path: str) -> float:
        """The time of a path, decoded to one character an octet (PEP 3333's PATH_INFO); inf for no limit."""
        for prefix, seconds in self._by_prefix:
            if path.startswith(prefix):
                return seconds
        return self._timeout
