"""Lines of the containers' logs, as records: when, which container, how serious, and of which request.

Knows the forms of what the kit runs: nginx's and the servers' access logs, their error logs, supervisord's lines, the
lines of the kit's own scripts, and the usual forms of Python's `logging`. Anything else is a line of level "info".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

LEVELS = ("debug", "info", "warning", "error", "critical")
LEVEL_OF = {level: level for level in LEVELS} | {
    "trace": "debug",
    "notice": "info",
    "success": "info",
    "warn": "warning",
    "err": "error",
    "fatal": "critical",
    "crit": "critical",
    "alert": "critical",
    "emerg": "critical",
}
WORD = "|".join((*LEVEL_OF, "exception"))
PREFIXES = (
    # ropewalk, gunicorn, the kit's errors of Django: [2026-11-29 08:29:40 +0000] [22] [INFO] message
    re.compile(rf"\[\d{{4}}-[^\]]*\] (?P<rest>\[\d+\]) \[(?P<level>{WORD})\] ", re.IGNORECASE),
    # nginx: 2026/11/29 08:29:40 [warn] 12#12: message
    re.compile(rf"\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d \[(?P<level>{WORD})\] (?P<rest>)(?:\d+#\d+: )?", re.IGNORECASE),
    # supervisord, logging: 2026-11-29 08:29:39,381 INFO message
    re.compile(rf"\d{{4}}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\S* (?P<rest>)\[?(?P<level>{WORD})\b\]?:? ?", re.IGNORECASE),
    # logging: WARNING django.request message, WARNING:root:message
    re.compile(rf"(?P<rest>)\[?(?P<level>{WORD.upper()})\b\]?:? ?"),
    # the kit's own scripts
    re.compile(r"(?P<rest>[a-z][a-z/-]+:) (?P<level>warning|error): "),
)
GUNICORN = re.compile(
    r'(?P<client>\S+) - (?P<user>.*?) \[[^\]]+\] "(?P<method>[^ "]+) (?P<target>[^"]*?) (?P<protocol>HTTP/[^"]*)"'
    r' (?P<status>\d{3}) (?P<bytes>\d+|-) "(?P<referer>.*?)" "(?P<agent>.*?)"'
    r"(?: (?P<request_id>\S+) (?P<microseconds>\d+) <?(?P<pid>\d+)>?(?: \S+)?)?$"
)
TRACEBACK = re.compile(r"Traceback \(most recent call last\):$")
INSIDE_TRACEBACK = re.compile(r"\s|$|During handling of |The above exception |[\w.]+(?:: |$)")
PROBE = "probe"
"""The User-Agent of the kit's health checks."""

TOGETHER = timedelta(milliseconds=100)
"""Lines without a time or a level that follow so soon were written with the line before: a text of several lines."""


@dataclass(frozen=True, slots=True)
class Access:
    """One line of an access log."""

    is_nginx: bool
    """nginx's, not the server's."""
    method: str
    target: str
    status: int
    size: int
    """Octets of the response: nginx's are with its head, the server's its content."""
    seconds: float | None
    """None: the format does not say."""
    client: str
    agent: str
    fields: Mapping[str, Any]
    """All that the line says, by the names of its format."""


@dataclass(slots=True)
class Message:
    """What the lines of one message have in common. The thread that reads the container may still change it."""

    level: str
    """The highest of its lines: all of them are shown, or none."""
    head: str
    """Its first line, which has the request's ID if any has it."""


@dataclass(slots=True)
class Record:
    """One line. Only the level of a first line changes later, by the thread that reads the container."""

    time: datetime
    """When the engine received it; aware."""
    container: str
    """As it is shown: the service, with a number if it has several containers."""
    level: str
    """One of LEVELS."""
    line: str
    """As the container wrote it, without its end."""
    text: str
    """Without the time and the level, if their place is known."""
    request_id: str = ""
    access: Access | None = None
    is_continued: bool = False
    """It belongs to the record before, as the lines of a traceback do."""
    has_level: bool = False
    """It says so itself; otherwise a traceback below makes it an error."""
    message: Message = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.message = Message(self.level, self.line)

    @property
    def is_quiet_check(self) -> bool:
        """A health check of the kit's own that succeeded, perhaps with the 404 of a project without /healthz."""
        return self.access is not None and self.access.agent == PROBE and self.access.status < 500


@dataclass(slots=True)
class Parser:
    """Reads the lines of one container in their order. Only the thread that reads that container uses it."""

    container: str
    last: Record | None = field(default=None, init=False)
    head: Record | None = field(default=None, init=False)
    """The first line of the message that `last` belongs to."""
    in_traceback: bool = field(default=False, init=False)

    def read(self, line: str) -> Record:
        """`line` is one of `docker logs --timestamps`."""
        time, text = split_time(line)
        record = parse(time, self.container, text)
        if self.last and self.head and self._is_continued(record, self.last):
            record = self._continue(record, self.last, self.head)
        else:
            if TRACEBACK.match(text):
                record = Record(time, self.container, "error", text, text)
            self.head = record
        self.in_traceback = bool(TRACEBACK.match(text)) or (self.in_traceback and record.is_continued)
        self.last = record
        return record

    def _is_continued(self, record: Record, last: Record) -> bool:
        if last.access or record.access or record.has_level:
            return False
        text = record.line
        is_soon = record.time - last.time <= TOGETHER
        if TRACEBACK.match(text):
            return is_soon
        if text[:1] in (" ", "\t") or (self.in_traceback and INSIDE_TRACEBACK.match(text)):
            return True
        # the rest of an error of several lines
        return is_soon and (self.in_traceback or last.is_continued or last.has_level) and is_serious(last.level)

    @staticmethod
    def _continue(record: Record, last: Record, head: Record) -> Record:
        message = head.message
        level = max(last.level, "error", key=LEVELS.index) if TRACEBACK.match(record.line) else last.level
        message.level = max(message.level, level, key=LEVELS.index)
        if not head.has_level:
            head.level = message.level
        continued = Record(record.time, record.container, level, record.line, record.line, last.request_id, None, True)
        continued.message = message
        return continued


def is_serious(level: str) -> bool:
    return LEVELS.index(level) >= LEVELS.index("warning")


def split_time(line: str) -> tuple[datetime, str]:
    """The engine's time and the rest. A line without one is docker's own: it has the present time."""
    stamp, _, text = line.partition(" ")
    return (read_time(stamp) or datetime.now(UTC), text if read_time(stamp) else line)


def read_time(stamp: str) -> datetime | None:
    """RFC 3339, as the engine writes it: with nine decimals, of which datetime has six."""
    try:
        time = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", stamp))
    except ValueError:
        return None
    return time if time.tzinfo else None


def parse(time: datetime, container: str, line: str) -> Record:
    if line.startswith("{") and (found := _from_json(time, container, line)):
        return found
    if match := GUNICORN.match(line):
        return _from_gunicorn(time, container, line, match)
    for prefix in PREFIXES:
        if match := prefix.match(line):
            level = LEVEL_OF.get(match["level"].lower(), "error")
            text = f"{match['rest']} {line[match.end() :]}".strip()
            return Record(time, container, level, line, text, find_request_id(text), has_level=True)
    return Record(time, container, "info", line, line, find_request_id(line))


def find_request_id(text: str) -> str:
    """At the end of the server's messages: (request id 5c0f...)."""
    match = re.search(r"\(request id ([^\s()]{1,128})\)$", text)
    return match[1] if match else ""


def _from_json(time: datetime, container: str, line: str) -> Record | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    identifier = str(fields.get("request_id") or "")
    access = _read_access(fields)
    if access:
        return Record(time, container, level_of(access.status), line, line, identifier, access)
    message = fields.get("message") or fields.get("msg") or fields.get("event")
    if not isinstance(message, str):
        return None
    level = LEVEL_OF.get(str(fields.get("level") or fields.get("levelname") or "").lower(), "info")
    if isinstance(traceback := fields.get("traceback"), str):
        message = f"{message}\n{traceback}"
    return Record(time, container, level, line, message, identifier, has_level=True)


def _read_access(fields: Mapping[str, Any]) -> Access | None:
    status, method = fields.get("status"), fields.get("method")
    target = fields.get("uri", fields.get("target"))
    if not (isinstance(status, int) and isinstance(method, str) and isinstance(target, str)):
        return None
    return Access(
        is_nginx="uri" in fields,
        method=method,
        target=target,
        status=status,
        size=fields["bytes"] if isinstance(fields.get("bytes"), int) else 0,
        seconds=number(fields.get("seconds")),
        client=str(fields.get("client", "")),
        agent=str(fields.get("agent", fields.get("user_agent", ""))),
        fields=fields,
    )


def _from_gunicorn(time: datetime, container: str, line: str, match: re.Match[str]) -> Record:
    fields = {name: value for name, value in match.groupdict().items() if value is not None}
    access = Access(
        is_nginx=False,
        method=fields["method"],
        target=fields["target"],
        status=int(fields["status"]),
        size=int(fields["bytes"]) if fields["bytes"] != "-" else 0,
        seconds=int(fields["microseconds"]) / 1e6 if "microseconds" in fields else None,
        client=fields["client"],
        agent=fields["agent"],
        fields=fields,
    )
    identifier = fields.get("request_id", "")
    return Record(time, container, level_of(access.status), line, line, "" if identifier == "-" else identifier, access)


def level_of(status: int) -> str:
    return "error" if status >= 500 else "info"


def number(value: object) -> float | None:
    """Of JSON, or of nginx's text."""
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None
