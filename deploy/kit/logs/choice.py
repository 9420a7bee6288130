"""Which lines of the logs are wanted: SERVICE, LEVEL, ID, SINCE, FORMAT, FOLLOW and HEALTH. Each error is one line."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kit.errors import KitError
from kit.logs.records import LEVELS, Record
from kit.logs.show import FORMATS
from kit.variables import SWITCH

PART = re.compile(r"(\d{1,9})([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
INSTANT = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?")
REQUEST_ID = re.compile(r"[A-Za-z0-9_.:=+/@-]{1,128}")
"""What the server accepts as one (docs/operations.md)."""

TAIL = 100
"""Lines of each container at the start, if nothing says how far back to look."""


@dataclass(frozen=True, slots=True)
class Choice:
    services: tuple[str, ...] = ()
    """Empty: all."""
    level: str = "debug"
    """The least."""
    request_id: str = ""
    since: str = ""
    """As `docker logs --since` takes it. Empty: the last TAIL lines, or all of a request's."""
    format: str = "text"
    follows: bool = True
    shows_checks: bool = False
    """Also the kit's own health checks that succeed."""

    def wants(self, record: Record) -> bool:
        """Of a message, all lines or none."""
        lines = (record.line, record.message.head)
        if self.request_id and record.request_id != self.request_id and not any(self.request_id in it for it in lines):
            return False
        if self.format == "text" and record.is_quiet_check and not (self.shows_checks or self.request_id):
            return False
        return LEVELS.index(record.message.level) >= LEVELS.index(self.level)

    @property
    def history(self) -> list[str]:
        """Options of `docker logs` for the lines until now."""
        if self.since:
            return ["--since", self.since]
        return [] if self.request_id else ["--tail", str(TAIL)]


def read(environment: Mapping[str, str], *, is_terminal: bool) -> Choice:
    """Raises KitError for a value that is not allowed."""
    level = environment.get("LEVEL", "").lower() or "debug"
    format = environment.get("FORMAT", "").lower() or ("text" if is_terminal else "raw")
    _require("LEVEL", level, LEVELS)
    _require("FORMAT", format, FORMATS)
    return Choice(
        services=tuple(environment.get("SERVICE", "").replace(",", " ").split()),
        level=level,
        request_id=read_request_id(environment.get("ID", "")),
        since=read_since(environment.get("SINCE", "")),
        format=format,
        follows=_switch("FOLLOW", environment, default="1"),
        shows_checks=_switch("HEALTH", environment, default="0"),
    )


def check_services(services: Sequence[str], known: Sequence[str]) -> None:
    """Raises KitError for a service that has no container."""
    for service in services:
        if service not in known:
            raise KitError(f"SERVICE={service!r}: must be one of {', '.join(sorted(set(known)))}")


def read_request_id(given: str) -> str:
    if given and not REQUEST_ID.fullmatch(given):
        raise KitError(f"ID={given!r}: must be a request ID, such as the X-Request-ID of a response")
    return given


def read_since(given: str) -> str:
    """A duration such as 10m or 1h30m or 2d, or an instant of ISO 8601. docker has no days."""
    parts = PART.findall(given)
    if parts and "".join(number + unit for number, unit in parts) == given:
        return f"{sum(int(number) * SECONDS[unit] for number, unit in parts)}s"
    if given and not INSTANT.fullmatch(given):
        raise KitError(f"SINCE={given!r}: must be a duration such as 10m, 2h or 1d, or a time such as 2026-11-29T08:30")
    return given


def _require(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise KitError(f"{name}={value!r}: must be one of {', '.join(allowed)}")


def _switch(name: str, environment: Mapping[str, str], *, default: str) -> bool:
    value = environment.get(name) or default
    if value.lower() not in SWITCH:
        raise KitError(f"{name}={value!r}: must be 1 or 0")
    return SWITCH[value.lower()] == "1"
