"""Records of the logs as lines for people, and for programs."""

import json
import re
from dataclasses import dataclass, field
from datetime import date, tzinfo

from kit import units
from kit.logs.records import Access, Record, number

FORMATS = ("text", "raw", "json")
TERMINAL_CODE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9])")
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What a client or the application could write to the terminal of who reads the log."""

COLORS = ("36", "35", "34", "32", "33")
"""Of the containers: cyan, magenta, blue, green, yellow."""
OF_LEVEL = {"debug": "2", "info": "", "warning": "33", "error": "31", "critical": "1;31"}
LEVEL_WIDTH = 8


@dataclass(slots=True)
class Text:
    """Lines with the time, the container, the level and what it says, in columns."""

    has_color: bool
    zone: tzinfo | None = None
    """None: this machine's."""
    width: int = 0
    """Of the containers' column, which grows with the longest name."""
    day: date | None = None
    """Of the last line: a line with the date comes before the first line of another day."""
    colors: dict[str, str] = field(default_factory=dict)

    def lines(self, record: Record) -> list[str]:
        time = record.time.astimezone(self.zone)
        self.width = max(self.width, len(record.container))
        color = self.colors.setdefault(record.container, COLORS[len(self.colors) % len(COLORS)])
        clock = f"{time:%H:%M:%S}.{time.microsecond // 1000:03}"
        start = f"{self.paint('2', clock)} {self.paint(color, record.container.ljust(self.width))} "
        level = "" if record.is_continued else record.level
        start += self.paint(OF_LEVEL[record.level], level.ljust(LEVEL_WIDTH)) + " "
        head = [] if time.date() == self.day else [self.paint("2", f"--- {time:%A, %d %B %Y}")]
        self.day = time.date()
        if record.access:
            return [*head, start + self._access(record.access, record.request_id)]
        color = OF_LEVEL[record.level] if record.level != "debug" else ""
        return [*head, *(start + self.paint(color, clean(line)) for line in record.text.splitlines() or [""])]

    def paint(self, color: str, text: str) -> str:
        return f"\033[{color}m{text}\033[0m" if color and self.has_color and text else text

    def _access(self, access: Access, identifier: str) -> str:
        status = self.paint({2: "32", 3: "36", 4: "33", 5: "31"}.get(access.status // 100, ""), str(access.status))
        parts = [f"{clean(access.method)} {clean(access.target)} {status}"]
        if access.seconds is not None:
            parts.append(units.duration(access.seconds))
        parts.append(units.size(access.size))
        parts += [clean(part) for part in (_nginx(access) if access.is_nginx else _server(access))]
        end = self.paint("2", clean(f"{access.client} {identifier}".strip()))
        return ", ".join(parts) + (f"  {end}" if end else "")


def _nginx(access: Access) -> list[str]:
    upstream = access.fields.get("upstream")
    hint = access.fields.get("hint")
    seconds = number(access.fields.get("upstream_seconds"))
    times = units.duration(seconds) if seconds is not None else f"{access.fields.get('upstream_seconds')} s"
    served = [f"app {times} at {upstream}"] if upstream else ["by nginx itself"]
    return [*served, *([str(hint)] if hint else [])]


def _server(access: Access) -> list[str]:
    parts = []
    for name, word in (("queue", "queue"), ("application", "application")):
        if isinstance(seconds := access.fields.get(name), int | float):
            parts.append(f"{word} {units.duration(seconds)}")
    if access.fields.get("aborted"):
        parts.append("not received completely")
    if "pid" in access.fields:
        parts.append(f"worker {access.fields['pid']}")
    return parts


def clean(text: str) -> str:
    """Without terminal codes; other control characters escaped."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), TERMINAL_CODE.sub("", text))


def as_json(record: Record) -> str:
    """One object: what is known of each line, and the fields of an access line as they are."""
    known = {
        "time": record.time.isoformat(timespec="microseconds"),
        "container": record.container,
        "level": record.level,
        "request_id": record.request_id or None,
    }
    if record.access:
        return json.dumps({"access": dict(record.access.fields)} | known)
    return json.dumps(known | {"message": record.text})
