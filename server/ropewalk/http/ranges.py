"""Range requests for one range of bytes (RFC 9110 section 14). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

__all__ = ["ByteRange", "Unsatisfiable", "select_range"]

_RANGES_SPECIFIER = re.compile(r"bytes=([0-9\-, \t]+)", re.IGNORECASE)
_RANGE_SPEC = re.compile(r"([0-9]*)-([0-9]*)")

MAX_DIGITS: Final = 18
"""More than the size of any file has; a longer position is past the end. (`int` refuses 4301 digits.)"""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`length` bytes from the offset `first` of a representation of `complete_length`; never empty."""

    first: int
    length: int
    complete_length: int

    @property
    def content_range(self) -> str:
        """The value of Content-Range (RFC 9110 section 14.4)."""
        return f"bytes {self.first}-{self.first + self.length - 1}/{self.complete_length}"


class Unsatisfiable(Enum):
    """The requested range lies outside the representation: 416."""

    UNSATISFIABLE = "unsatisfiable"


def select_range(field_value: str, complete_length: int) -> ByteRange | Unsatisfiable | None:
    """The range that a Range field requests of a representation of `complete_length` bytes.

    None when the field is ignored: another unit, a malformed specifier, or several ranges (section 14.2 allows a server
    to ignore them; the complete representation contains what the client wants).
    """
    specifier = _RANGES_SPECIFIER.fullmatch(field_value)
    if not specifier:
        return None
    range_set = [spec for spec in (part.strip(" \t") for part in specifier[1].split(",")) if spec]
    found = _RANGE_SPEC.fullmatch(range_set[0]) if len(range_set) == 1 else None
    if not found or found[0] == "-":
        return None
    if not found[1]:
        return _suffix_range(_number(found[2]), complete_length)
    first, last = _number(found[1]), _number(found[2]) if found[2] else complete_length - 1
    if found[2] and last < first:
        return None
    if first >= complete_length:
        return Unsatisfiable.UNSATISFIABLE
    return ByteRange(first, min(last, complete_length - 1) - first + 1, complete_length)


def _suffix_range(suffix_length: int, complete_length: int) -> ByteRange | Unsatisfiable | None:
    if suffix_length == 0:
        return Unsatisfiable.UNSATISFIABLE
    if complete_length == 0:
        return None  # satisfiable by section 14.1.1, but Content-Range cannot express an empty range
    length = min(suffix_length, complete_length)
    return ByteRange(complete_length - length, length, complete_length)


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= MAX_DIGITS else 10**MAX_DIGITS
