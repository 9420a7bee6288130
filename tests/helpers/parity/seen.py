"""What of an answer is compared, and what of it differs from one run to the next and is masked.

Masked, and nothing else: Date and Server, connection management (compared as behaviour instead: see
Visitor.leave), tokens and session keys, ids made at random, and moments of this year.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Any

from tests.helpers.parity.prepare import PAPER, YEAR
from tests.helpers.parity.raw_http import Answer

# Who serves says these; Via and X-Request-ID are nginx's.
NOT_COMPARED = {"date", "server", "connection", "keep-alive", "transfer-encoding", "x-request-id"}

_MASKS = [
    (re.compile(rb'(name="csrfmiddlewaretoken" value=")[A-Za-z0-9]{64}'), rb"\1*"),
    (re.compile(rb"(?!%s)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}" % str(PAPER).encode()), b"*uuid*"),
    (re.compile(rb"(?!%d)\b20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.+]{5,32}" % YEAR), b"*moment*"),
    (re.compile(rb"\b[0-9]{1,2} [A-Z][a-z]+ (?!%d)20[0-9]{2}, [0-9]{2}:[0-9]{2}" % YEAR), b"*moment*"),
    # what nginx adds, as /api/echo tells it
    (re.compile(rb'("X-Request-Id": ")[0-9a-f]{32}'), rb"\1*"),
    (re.compile(rb'("X-Request-Start": "t=)[0-9.]+'), rb"\1*"),
    (re.compile(rb'("X-(?:Real-Ip|Forwarded-For)": ")[0-9a-f.:]+'), rb"\1*"),
]
_COOKIE_VALUE = re.compile(r"^(csrftoken|sessionid|messages)=[^;]+(?=;)")
_EXPIRES = re.compile(r"(?i)expires=(?!Thu, 01 Jan 1970)[^;]+")
_MOMENT = re.compile(rf"[A-Z][a-z]{{2}}, [0-9]{{2}} [A-Z][a-z]{{2}} (?!{YEAR}|1970)20[0-9]{{2}} [0-9:]{{8}} GMT")


@dataclass(slots=True)
class Seen:
    """One answer, masked. `fields` are in order, as written."""

    version: str
    status: str
    interim: tuple[str, ...]
    framing: str
    fields: list[tuple[str, str]]
    body: bytes

    @classmethod
    def of(cls, answer: Answer) -> Seen:
        body = answer.body
        for pattern, mask in _MASKS:
            body = pattern.sub(mask, body)
        fields = [
            (name, _masked_field(name.lower(), value, answer.body, body))
            for name, value in answer.fields
            if name.lower() not in NOT_COMPARED
        ]
        return cls(answer.version, answer.status, answer.interim, answer.framing, fields, body)

    def take(self, what: str) -> Any:
        """Removes one thing and returns it; None if it is not there. It then is the same on both sides.

        `what` is "version", "status", "interim", "framing", "body", "fields", "field NAME", "json A.B.C",
        or "answer" for all of it.
        """
        kind, _, name = what.partition(" ")
        if kind == "answer":
            taken = dataclasses.replace(self)
            self.version = self.status = self.framing = ""
            self.interim, self.fields, self.body = (), [], b""
            return taken
        if kind == "field":
            values = [value for field_name, value in self.fields if field_name.lower() == name.lower()]
            self.fields = [pair for pair in self.fields if pair[0].lower() != name.lower()]
            return ", ".join(values) if values else None
        if kind == "json":
            return self._take_json(name.split("."))
        value = getattr(self, kind)
        setattr(self, kind, None)
        return value

    def _take_json(self, path: list[str]) -> Any:
        document = json.loads(self.body)
        inner = document
        for key in path[:-1]:
            inner = inner[key]
        value = inner.pop(path[-1], None)
        self.body = json.dumps(document).encode()
        # they tell the size and the hash of a body that differs
        self.take("field Content-Length")
        self.take("field ETag")
        return value


def _masked_field(name: str, value: str, body: bytes, masked: bytes) -> str:
    if name == "set-cookie":
        return _EXPIRES.sub("expires=*", _COOKIE_VALUE.sub(r"\1=*", value))
    if name == "etag" and (body != masked or not body):
        return "*"  # the hash of a body that has something masked in it, or is not here (304), where nobody can tell
    if name == "content-length" and body != masked:
        assert int(value) == len(body)
        return str(len(masked))
    if name == "location":
        value = _MASKS[1][0].sub(b"*uuid*", value.encode()).decode()
    return _MOMENT.sub("*moment*", value)


def differences(ropewalk: Seen, gunicorn: Seen) -> list[str]:
    """What differs, one line each; [] if nothing does."""
    found = []
    for name in ("version", "status", "interim", "framing"):
        ours, theirs = getattr(ropewalk, name), getattr(gunicorn, name)
        if ours != theirs:
            found.append(f"{name}: ropewalk {ours!r}, gunicorn {theirs!r}")
    if ropewalk.fields != gunicorn.fields:
        found.append(f"fields of ropewalk: {ropewalk.fields}\n  fields of gunicorn: {gunicorn.fields}")
    if ropewalk.body != gunicorn.body:
        found.append(f"body: {_first_difference(ropewalk.body or b'', gunicorn.body or b'')}")
    return found


def _first_difference(ours: bytes, theirs: bytes) -> str:
    at = next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    here = slice(max(0, at - 60), at + 300)
    return f"{len(ours)} and {len(theirs)} bytes, at {at} ropewalk {ours[here]!r}\n  gunicorn {theirs[here]!r}"
