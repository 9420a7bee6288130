"""Which content codings a client accepts (RFC 9110 section 12.5.3). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["acceptable_codings"]

# Section 12.4.2: a weight has at most three digits after the point.
_PREFERENCE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?")

_ALIASES = {"x-gzip": "gzip"}  # section 8.4.1.3


def acceptable_codings(field_value: str, offered: Sequence[str]) -> list[str]:
    """The codings of `offered` that an Accept-Encoding allows and prefers to no coding: by descending weight,
    those of equal weight in the order of `offered`.

    A malformed member of the field is ignored: content without a coding is always acceptable.
    """
    weights: dict[str, float] = {}
    for part in field_value.split(","):
        preference = _PREFERENCE.fullmatch(part.strip(" \t"))
        if preference:
            name = preference[1].lower()
            weights[_ALIASES.get(name, name)] = float(preference[2] or 1)
    any_other = weights.get("*", 0.0)
    found = [(weights.get(coding, any_other), coding) for coding in offered]
    least = weights.get("identity", 0.0)
    allowed = [(weight, coding) for weight, coding in found if weight > 0 and weight >= least]
    return [coding for _, coding in sorted(allowed, key=lambda each: -each[0])]
