"""A line of the access log as JSON: `--access-logformat json`.

Every value that is not known, as for a request that was refused before it had one, is left out. Runs for each request:
the line is put together here, and only text passes through the library's encoder.
"""

from __future__ import annotations

import os
import time
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ropewalk.logs.access_format import AccessRecord

_FROM_ENVIRON = [
    (f',"{name}":', key)
    for name, key in (
        ("client", "REMOTE_ADDR"),
        ("method", "REQUEST_METHOD"),
        ("target", "RAW_URI"),
        ("protocol", "SERVER_PROTOCOL"),
        ("scheme", "wsgi.url_scheme"),
        ("host", "HTTP_HOST"),
        ("referer", "HTTP_REFERER"),
        ("user_agent", "HTTP_USER_AGENT"),
    )
]


def json_line(record: AccessRecord) -> str:
    """The line, without its end. Only ASCII: whatever is not is escaped, so no peer can end or forge a line."""
    get, now = record.environ.get, time.time()
    parts = [f'{{"time":"{_second(int(now))}.{int(now % 1 * 1000):03}+00:00"']
    name = get("ropewalk.request_id") or get("HTTP_X_REQUEST_ID")
    if name:
        parts.append(',"request_id":' + quoted(str(name)))
    for prefix, key in _FROM_ENVIRON:
        value = get(key)
        if value is not None and value != "":
            parts.append(prefix + quoted(str(value)))
    parts.append(f',"status":{record.status[:3]},"bytes":{record.body_bytes}')
    if record.received_octets is not None:
        parts.append(f',"received":{record.received_octets}')
    if record.receiving is not None:
        parts.append(f',"receiving":{record.receiving:.6f}')
    if record.queue is not None:
        parts.append(f',"queue":{record.queue:.6f}')
    if record.waiting is not None:
        parts.append(f',"waiting":{record.waiting:.6f}')
    if record.application is not None:
        parts.append(f',"application":{record.application:.6f},"sending":{record.sending:.6f}')
    parts.append(f',"seconds":{record.seconds:.6f}{_RIGHT if record.complete else _CUT}"pid":{os.getpid()}}}')
    return "".join(parts)


_RIGHT, _CUT = ",", ',"cut":true,'


class _Second:
    """The time to the second, made once in each; two threads may both make it, to the same end."""

    def __init__(self) -> None:
        self._made = (0, "")

    def __call__(self, second: int) -> str:
        made = self._made
        if made[0] != second:
            made = self._made = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        return made[1]


_second = _Second()
