"""What `make plan` is asked, from variables. A value that cannot be right is an error of one line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from plan.workload import Distribution, Workload

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
MIN_SECONDS, MAX_SECONDS = 100e-6, 60.0
MAX_RATE = 1_000_000
MAX_CORES = 256
USUAL_CPU_SHARE = 0.3  # of a request of a site that asks its database and renders a page


class InputError(ValueError):
    """The text is a line for the user."""


@dataclass(frozen=True, slots=True)
class Question:
    workload: Workload
    p99: float  # seconds: at most this
    cores: int  # of a machine


def _duration(variables: Mapping[str, str], name: str, example: str) -> float:
    text = variables.get(name, "")
    allowed = f"must be a time from 100us to 60s with its unit (us, ms or s), such as {name}={example}"
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(us|ms|s)", text, re.ASCII)
    if not match:
        raise InputError(f"{name}={text!r}: {allowed}")
    seconds = round(float(match[1]) * UNITS[match[2]], 9)  # 100us is not less than 100e-6
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise InputError(f"{name}={text!r}: {allowed}")
    return seconds


def _number(variables: Mapping[str, str], name: str, default: str, low: float, high: float, what: str) -> float:
    text = variables.get(name, "") or default
    # re.ASCII and no exponent: what a person writes
    if not re.fullmatch(r"\d+(?:\.\d+)?|\.\d+", text, re.ASCII) or not low <= float(text) <= high:
        raise InputError(f"{name}={text!r}: must be {what}")
    return float(text)


def question(variables: Mapping[str, str]) -> Question:
    """Raises `InputError`."""
    rate = _number(variables, "RATE", "", 0.01, MAX_RATE, "requests a second, from 0.01 to 1000000, such as RATE=5000")
    service = _duration(variables, "SERVICE_TIME", "40ms")
    p99 = _duration(variables, "P99", "200ms")
    share = _number(
        variables, "CPU_SHARE", str(USUAL_CPU_SHARE), 0, 1, "the share of SERVICE_TIME that is computed, from 0 to 1"
    )
    text = variables.get("DISTRIBUTION", "") or Distribution.EXPONENTIAL.value
    try:
        distribution = Distribution(text)
    except ValueError:
        names = ", ".join(each.value for each in Distribution)
        raise InputError(f"DISTRIBUTION={text!r}: must be one of {names}") from None
    what = f"the processors of a machine, a whole number from 1 to {MAX_CORES}"
    cores = _number(variables, "CORES", str(min(os.cpu_count() or 1, MAX_CORES)), 1, MAX_CORES, what)
    if cores != int(cores):
        raise InputError(f"CORES={variables['CORES']!r}: must be {what}")
    return Question(Workload(rate, service, share, distribution), p99, int(cores))
