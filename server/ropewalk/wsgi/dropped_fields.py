"""Reports fields that never reach the application, once for each name: their senders expect that they do.

Any client can send them, so the number of reports is limited. Any thread.
"""

from __future__ import annotations

import threading

from ropewalk.http.forwarded import KNOWN
from ropewalk.logs.error_log import get_logger

MAX_REPORTS = 10
"""Of names with an underscore, in a worker: enough for a project's own clients and proxies, and not to fill a disk."""

SHOWN_CHARACTERS = 80

log = get_logger()


class DroppedFields:
    """What one worker has reported."""

    def __init__(self) -> None:
        self.unreported = set(KNOWN.values())
        """Meta-variables that `report_forwarded` has not reported yet; asked first, since these come in each request.
        Any thread removes one, which is atomic."""
        self._reported: set[str] = set()
        """Names with an underscore, in capitals."""
        self._lock = threading.Lock()
        """Protects additions to `_reported`."""

    def report_forwarded(self, key: str) -> None:
        """Report that a trusted proxy's request had a field of `KNOWN`, by its meta-variable, that is not trusted."""
        if key in self.unreported:
            self.unreported.discard(key)
            [name] = [name for name, meta_variable in KNOWN.items() if meta_variable == key]
            log.warning(
                "Dropped the field %s of a request from a trusted proxy: if the proxy sets it, add it to "
                "--forwarded-fields; otherwise it is the client's (reported once)",
                name,
            )

    def report_underscore(self, field_name: str) -> None:
        """Report that a field was dropped because its name has an underscore."""
        name = field_name.upper()
        if self._is_new(name):
            log.warning(
                "Dropped the field %r, which has an underscore in its name: clients should send it with hyphens; one "
                "that a proxy sets can be allowed by --forwarder-headers %s (reported once)",
                field_name[:SHOWN_CHARACTERS],
                name[:SHOWN_CHARACTERS],
            )

    def _is_new(self, name: str) -> bool:
        if len(self._reported) >= MAX_REPORTS or name in self._reported:
            return False
        with self._lock:
            is_new = len(self._reported) < MAX_REPORTS and name not in self._reported
            if is_new:
                self._reported.add(name)
        return is_new
