"""The lines of a crontab, and when each is due. The module that calls it has cronsim in its path.

As in crontab(5): five fields, or a word such as @daily, then a command for a shell; NAME=value for the lines below; a
comment after # at the start of a line. CRON_TZ=Europe/Berlin is the time zone of the lines below; without one, UTC.
"""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

ZONE = "CRON_TZ"

_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_STARTERS = re.compile(
    r"(python|pypy)[\d.]*|(ba|da)?sh|env|exec|nice|timeout|flask|django-admin|manage\.py|-\S*|\w+=.*|\d+\w?"
)
"""Words at the start of a command that do not say what it does."""
_WITH_VALUE = ("--app", "-A", "-W", "-X")
"""Their options that the next word belongs to."""


class CrontabError(Exception):
    """What is wrong in which line, for one line of output."""


@dataclass(frozen=True, slots=True)
class Job:
    name: str
    """For the log: unique."""
    schedule: str
    command: str
    """For a shell."""
    line: int
    zone: tzinfo
    variables: dict[str, str] = field(default_factory=dict)

    def due_after(self, time: datetime) -> datetime:
        """The next time after this one; aware. Raises StopIteration if there is none within 50 years."""
        found: datetime = next(CronSim(self.schedule, time.astimezone(self.zone)))
        return found


def read(text: str) -> list[Job]:
    """Raises CrontabError."""
    jobs: list[Job] = []
    variables: dict[str, str] = {}
    zone: tzinfo = UTC
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if match := _VARIABLE.fullmatch(line):
            name, value = match[1], _unquoted(match[2])
            if name == ZONE:
                zone = _zone(value, number)
            variables = {**variables, name: value}
            continue
        schedule, command = _split(line, number)
        name = _unique(name_of(command), {job.name for job in jobs})
        jobs.append(Job(name, schedule, command, number, zone, variables))
    if not jobs:
        raise CrontabError("has no line with a time and a command, such as: 30 3 * * * python manage.py clearsessions")
    return jobs


def name_of(command: str) -> str:
    """The first word that says what the command does: `clearsessions` of `python manage.py clearsessions`."""
    words = [os.path.basename(word) for word in _words(command)]
    if "manage.py" in words:
        words = words[words.index("manage.py") :]
    wanted = [word for before, word in zip(["", *words], words, strict=False) if before not in _WITH_VALUE]
    found = next((word for word in wanted if not _STARTERS.fullmatch(word)), words[0] if words else "job")
    return re.sub(r"[^\w.-]+", "-", found.removesuffix(".py")).strip("-")[:40] or "job"


def _words(command: str) -> Iterator[str]:
    """Without what only leads to the command: `cd folder &&`."""
    text = re.sub(r"^\s*cd\s+\S+\s*(&&|;)", "", command)
    try:
        yield from shlex.split(text)
    except ValueError:
        yield from text.split()


def _unique(name: str, taken: set[str]) -> str:
    names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 2)))
    return next(each for each in names if each not in taken)


def _split(line: str, number: int) -> tuple[str, str]:
    count = 1 if line.startswith("@") else 5
    *times, command = parts if len(parts := line.split(None, count)) > count else [*parts, ""]
    if not command:
        raise CrontabError(f"line {number}: {line!r}: must be five fields, or a word such as @daily, and a command")
    schedule = WORDS.get(times[0].lower(), "") if count == 1 else " ".join(times)
    if not schedule:
        raise CrontabError(f"line {number}: {times[0]!r}: must be one of {', '.join(WORDS)}")
    try:
        next(CronSim(schedule, datetime.now(UTC)))
    except CronSimError as error:
        raise CrontabError(f"line {number}: {schedule!r}: {str(error).lower()}") from None
    except StopIteration:
        raise CrontabError(f"line {number}: {schedule!r}: is never due") from None
    return schedule, command


def _zone(name: str, number: int) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise CrontabError(f"line {number}: {ZONE}={name!r}: must be a time zone, such as Europe/Berlin") from None


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
