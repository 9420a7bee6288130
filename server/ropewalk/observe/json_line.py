"""A line of the access log as JSON: `--access-logformat json`.

Every value that is not known, as for a request that was refused before it had one, is left out.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ropewalk.observe.format import AccessRecord

_FROM_ENVIRON = {
    "request_id": "ropewalk.request_id",
    "client": "REMOTE_ADDR",
    "method": "REQUEST_METHOD",
    "target": "RAW_URI",
    "protocol": "SERVER_PROTOCOL",
    "scheme": "wsgi.url_scheme",
    "host": "HTTP_HOST",
    "referer": "HTTP_REFERER",
    "user_agent": "HTTP_USER_AGENT",
}

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def json_line(record: AccessRecord) -> str:
    """The line, without its end. Only ASCII: whatever is not is escaped, so no peer can end or forge a line."""
    get = record.environ.get
    line: dict[str, Any] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds")}
    for name, key in _FROM_ENVIRON.items():
        value = get(key)
        if value not in (None, ""):
            line[name] = str(value)
    if "request_id" not in line and get("HTTP_X_REQUEST_ID"):
        line["request_id"] = str(get("HTTP_X_REQUEST_ID"))
    line["status"] = int(record.status[:3])
    line["bytes"] = record.body_bytes
    if record.received_octets is not None:
        line["received"] = record.received_octets
    for name, seconds in (
        ("receiving", record.receiving),
        ("queue", record.queue),
        ("waiting", record.waiting),
        ("application", record.application),
        ("sending", record.sending),
    ):
        if seconds is not None:
            line[name] = round(seconds, 6)
    line["seconds"] = round(record.seconds, 6)
    if not record.complete:
        line["cut"] = True
    line["pid"] = os.getpid()
    return _encode(line)
