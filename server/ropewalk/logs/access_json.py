"""A line of the access log as JSON: `--access-logformat json`.

Values that are not known, as for a request that was refused before it had an environ, are omitted. This runs for each
request, so the line is assembled by hand and only text passes through the library's encoder.
"""

from __future__ import annotations

import os
import time
from json.encoder import encode_basestring_ascii as quoted

from ropewalk.logs.access_record import AccessRecord
from ropewalk.logs.clock import iso_time

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


def json_line(record: AccessRecord, names: str = "") -> str:
    """The line, without a line end. It is ASCII, with everything else escaped, so no peer can end or forge a line.

    `names`: keys for each line (`Names.as_keys`).
    """
    get = record.environ.get
    parts = [f'{{"time":"{iso_time(time.time())}"']
    if record.request_id:
        parts.append(',"request_id":' + quoted(record.request_id))
    for prefix, key in _FROM_ENVIRON:
        value = get(key)
        if value is not None and value != "":
            parts.append(prefix + quoted(str(value)))
    parts.append(f',"status":{record.status[:3]},"bytes":{record.body_bytes}')
    if record.request_bytes is not None:
        parts.append(f',"received":{record.request_bytes}')
    if record.receiving is not None:
        parts.append(f',"receiving":{record.receiving:.6f}')
    if record.queue is not None:
        parts.append(f',"queue":{record.queue:.6f}')
    if record.waiting is not None:
        parts.append(f',"waiting":{record.waiting:.6f}')
    if record.application is not None:
        parts.append(f',"application":{record.application:.6f},"sending":{record.sending:.6f}')
    aborted = "" if record.is_complete else '"aborted":true,'
    parts.append(f',"seconds":{record.seconds:.6f},{aborted}{names}"pid":{os.getpid()}}}')
    return "".join(parts)


def json_message(text: str, names: str = "") -> str:
    """The line of a message that is not about a request of the server's."""
    return f'{{"time":"{iso_time(time.time())}","message":{quoted(text)},{names}"pid":{os.getpid()}}}'
