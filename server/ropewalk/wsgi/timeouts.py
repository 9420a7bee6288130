"""How long the application may take until its response begins, and then for each next piece of it.

One timeout for all paths, and others for some prefixes. Only looked up for requests that have taken longer than the
shortest of these timeouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf


class RequestTimeouts:
    """`timeout` in seconds (0: no limit) for all paths but those that begin with a prefix of `by_prefix`.

    `stream_timeout` is for the pieces of a response, of all paths; a longer timeout of a prefix counts for them, too.

    Each item of `by_prefix` is `PREFIX=SECONDS`, as in the setting. The longest prefix that matches counts; of two
    items for the same prefix, the last. As in nginx's `location`, a prefix is a string prefix of the decoded path.
    """

    def __init__(self, timeout: float, by_prefix: Sequence[str] = (), stream_timeout: float = 0.0) -> None:
        self._timeout = timeout or inf
        self._stream_timeout = stream_timeout or inf
        found = {}
        for item in by_prefix:
            prefix, _, seconds = item.rpartition("=")
            found[prefix.encode().decode("latin-1")] = float(seconds) or inf  # as PATH_INFO is
        self._by_prefix = sorted(found.items(), key=lambda item: -len(item[0]))

    @property
    def shortest(self) -> float:
        """The shortest of all timeouts; 0 if there is no limit for any path."""
        shortest = min([self._timeout, self._stream_timeout, *(seconds for _, seconds in self._by_prefix)])
        return 0.0 if shortest == inf else shortest

    @property
    def longest(self) -> float:
        """The longest timeout until a response begins; 0 if there is no limit for some path."""
        longest = max([self._timeout, *(seconds for _, seconds in self._by_prefix)])
        return 0.0 if longest == inf else longest

    def of(self, path: str) -> float:
        """The timeout of a path, which is decoded as PATH_INFO (PEP 3333); inf for no limit."""
        own = self._of_prefix(path)
        return self._timeout if own is None else own

    def of_stream(self, path: str) -> float:
        """How long a response of that path may be quiet after it has begun; inf for no limit."""
        return max(self._stream_timeout, self._of_prefix(path) or 0.0)

    def _of_prefix(self, path: str) -> float | None:
        return next((seconds for prefix, seconds in self._by_prefix if path.startswith(prefix)), None)
