"""What `make doctor` finds: how serious it is, what it is, and its mend in one line."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing has to be done."""
    WARNING = "warning"
    ERROR = "error"
    """The site is down, loses data, or is open to attacks."""


@dataclass(frozen=True, slots=True)
class Finding:
    topic: str
    severity: Severity
    what: str
    mend: str = ""
    """Empty if there is nothing to do."""


Findings = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class Topic:
    """Makes the findings of one topic."""

    name: str

    def ok(self, what: str) -> Finding:
        return Finding(self.name, Severity.OK, what)

    def note(self, what: str, mend: str = "") -> Finding:
        return Finding(self.name, Severity.NOTE, what, mend)

    def warning(self, what: str, mend: str) -> Finding:
        return Finding(self.name, Severity.WARNING, what, mend)

    def error(self, what: str, mend: str) -> Finding:
        return Finding(self.name, Severity.ERROR, what, mend)

    def unknown(self, what: str, reason: str) -> Finding:
        """A probe that failed."""
        return self.note(f"{what}: not known: {reason}")


def has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)
