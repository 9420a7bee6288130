"""The kit's variables: defaults and allowed values, from deploy/app/variables, which the images read too."""

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from kit.errors import KitError
from kit.paths import APP

SIZE = re.compile(r"[0-9]{1,12}|[0-9]{1,9}[kKmMgG]")
SWITCH = {
    **dict.fromkeys(("1", "true", "yes", "on"), "1"),
    **dict.fromkeys(("0", "false", "no", "off"), "0"),
}


class Variable(NamedTuple):
    name: str
    default: str
    allowed: str
    """`any`, `size`, `switch`, `LEAST..MOST`, or `ONE|ANOTHER`."""


@cache
def declared() -> Mapping[str, Variable]:
    variables = {}
    for line in (APP / "variables").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, default, allowed = line.split()
            variables[name] = Variable(name, "" if default == "-" else default, allowed)
    return variables


def read(name: str, environment: Mapping[str, str]) -> str:
    """The value, or the default if it is unset or blank; a switch as "1" or "0". Raises KitError."""
    variable = declared()[name]
    value = environment.get(name) or variable.default
    return check(variable, value) if value else value


def read_integer(name: str, environment: Mapping[str, str]) -> int:
    return int(read(name, environment))


def check(variable: Variable, value: str) -> str:
    least, is_range, most = variable.allowed.partition("..")
    if is_range:
        if not re.fullmatch("[0-9]{1,9}", value) or not int(least) <= int(value) <= int(most):
            raise KitError(f"{variable.name}={value!r}: must be an integer from {least} to {most}")
        return str(int(value))
    if "|" in variable.allowed and value not in (choices := variable.allowed.split("|")):
        raise KitError(f"{variable.name}={value!r}: must be one of {', '.join(choices)}")
    if variable.allowed == "size" and not SIZE.fullmatch(value):
        raise KitError(f"{variable.name}={value!r}: must be a size such as 80m")
    if variable.allowed == "switch":
        if value.lower() not in SWITCH:
            raise KitError(f"{variable.name}={value!r}: must be 1 or 0 (or true, yes, on; false, no, off)")
        return SWITCH[value.lower()]
    return value
