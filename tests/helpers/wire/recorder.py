"""The application for the corpus: it responds with what it saw, and remembers it.

Served by itself it is the target of `WIRE_TARGET`: `ropewalk tests.helpers.wire.recorder:application`. One
worker process, since what was seen is kept in memory. `GET /_seen` returns that and forgets it.
"""

from __future__ import annotations

import json
import threading
from typing import Any

FORGET = "/_seen"


class Recorder:
    """A WSGI application. `_seen` is keyed by the peer's port, guarded by `_lock`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, list[dict[str, Any]]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == FORGET:
            content = json.dumps(self.take_all()).encode()
        else:
            content = json.dumps(self._record(environ)).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
        start_response("200 OK", headers)
        return [content]

    def take(self, port: int) -> list[dict[str, Any]]:
        """What was seen from that port of this machine, in order; forgotten with that."""
        with self._lock:
            return self._seen.pop(str(port), [])

    def take_all(self) -> list[dict[str, Any]]:
        """What was seen from all ports."""
        with self._lock:
            seen = [facts for each in self._seen.values() for facts in each]
            self._seen.clear()
        return seen

    def _record(self, environ: dict[str, Any]) -> dict[str, Any]:
        body = environ["wsgi.input"].read()
        facts = {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "query": environ["QUERY_STRING"],
            "body": body.decode("latin-1"),
            "environ": {key: value for key, value in environ.items() if type(value) is str},
        }
        with self._lock:
            self._seen.setdefault(environ.get("REMOTE_PORT", ""), []).append(facts)
        return facts


application = Recorder()
