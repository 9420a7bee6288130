"""Conditional requests (RFC 9110 sections 8.8 and 13): validators, and what a request asks of them.

Pure: takes field values and validators, returns a verdict. Times are whole seconds since the epoch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final

__all__ = ["Validators", "Verdict", "evaluate_preconditions", "if_range_holds", "parse_http_date"]

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# RFC 9110 section 8.8.3: etagc is any visible character but the double quote, and obs-text.
_ENTITY_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')

# RFC 9110 section 5.6.7, the three forms. strptime would expect the names of the process's locale.
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)

CENTURY_PIVOT: Final = 70
"""Two-digit years from here on are of the 20th century: no file is older than the epoch."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What identifies the selected representation: a strong entity tag with its quotes, and the time of its
    last modification where that is known to be strong too (RFC 9110 section 8.8.2.2)."""

    entity_tag: str
    last_modified: int | None


class Verdict(Enum):
    """The result of a request's preconditions."""

    PROCEED = auto()
    NOT_MODIFIED = auto()
    FAILED = auto()


def evaluate_preconditions(
    current: Validators,
    *,
    if_match: str | None = None,
    if_unmodified_since: str | None = None,
    if_none_match: str | None = None,
    if_modified_since: str | None = None,
) -> Verdict:
    """Evaluate, in the order of RFC 9110 section 13.2.2, the preconditions of a GET or HEAD.

    The representation exists, so `*` is true for If-Match and false for If-None-Match. None: no such field.
    """
    if if_match is not None:
        if not _names_tag(if_match, current.entity_tag, weakly=False):
            return Verdict.FAILED
    elif _changed_since(if_unmodified_since, current.last_modified) is True:
        return Verdict.FAILED
    if if_none_match is not None:
        if _names_tag(if_none_match, current.entity_tag, weakly=True):
            return Verdict.NOT_MODIFIED
    elif _changed_since(if_modified_since, current.last_modified) is False:
        return Verdict.NOT_MODIFIED
    return Verdict.PROCEED


def if_range_holds(if_range: str, current: Validators) -> bool:
    """Whether a Range is honoured (RFC 9110 section 13.1.5): the validator is strong and is exactly the current one."""
    if if_range.startswith(('"', "W/")):
        return if_range == current.entity_tag  # a weak one never is
    date = parse_http_date(if_range)
    return date is not None and date == current.last_modified


def _names_tag(field_value: str, entity_tag: str, *, weakly: bool) -> bool:
    """Whether a list of entity tags contains this one, by the comparisons of RFC 9110 section 8.8.3.2."""
    if field_value == "*":
        return True
    if _ENTITY_TAG.sub("", field_value).strip(", \t"):
        return False  # a member is not an entity tag
    return any(
        opaque_tag == entity_tag and (weakly or not weak) for weak, opaque_tag in _ENTITY_TAG.findall(field_value)
    )


def _changed_since(field_value: str | None, last_modified: int | None) -> bool | None:
    """None when there is nothing to compare: no field, no valid date in it, or no time of the representation."""
    date = parse_http_date(field_value) if field_value is not None else None
    if date is None or last_modified is None:
        return None
    return last_modified > date


def parse_http_date(text: str) -> int | None:
    """Parse an HTTP-date (RFC 9110 section 5.6.7) in any of its three forms; None for anything else."""
    for pattern in _DATES:
        found = pattern.fullmatch(text)
        if found:
            break
    else:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += 1900 if year >= CENTURY_PIVOT else 2000
    second = int(found["second"])
    try:
        moment = datetime(
            year,
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            min(second, 59),
            tzinfo=UTC,
        )
        moment += timedelta(seconds=1) if second == 60 else timedelta()  # a leap second
    except (ValueError, OverflowError):
        return None
    return int(moment.timestamp()) if second <= 60 else None
