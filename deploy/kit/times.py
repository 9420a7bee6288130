"""The chain of times, in seconds: computed from deploy/app/times, which the images read too."""

import re
from collections.abc import Mapping

from kit.errors import KitError
from kit.paths import APP
from kit.variables import read_integer

ROW = re.compile(r"([A-Z_]+) = (.+)")


def chain(environment: Mapping[str, str]) -> dict[str, int]:
    """Every time by its name, REQUEST_TIMEOUT and DRAIN_DELAY first. Raises KitError."""
    times = {name: read_integer(name, environment) for name in ("REQUEST_TIMEOUT", "DRAIN_DELAY")}
    for name, terms in ROW.findall((APP / "times").read_text(encoding="utf-8")):
        value = sum(times[term] if term in times else int(term) for term in terms.split(" + "))
        times[name] = max(value, times.get(name, 0))
    return times


def stop_grace_period(environment: Mapping[str, str]) -> str:
    """STOP_GRACE_PERIOD as compose wants it: the given one, if it is long enough, or the chain's."""
    times = chain(environment)
    given = environment.get("STOP_GRACE_PERIOD") or f"{times['STOP_GRACE']}s"
    if not re.fullmatch("[0-9]{1,9}s", given):
        raise KitError(f"STOP_GRACE_PERIOD={given!r}: must be whole seconds, such as {times['STOP_GRACE']}s")
    if int(given[:-1]) < times["STOP_GRACE"]:
        enough = f"{times['STOP_GRACE']}s with REQUEST_TIMEOUT={times['REQUEST_TIMEOUT']}"
        raise KitError(f"STOP_GRACE_PERIOD={given!r}: must be at least {enough}")
    return given
