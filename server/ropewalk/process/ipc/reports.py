"""What a worker reports to its master, and a new master to the old one, over a pipe: a line of JSON for each report.

The two masters of an upgrade may be of different versions: the names and fields of `Ready` and `BootFailed` are fixed.
"""

from __future__ import annotations

import json
import os
import select
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import Counters

READ_OCTETS = 65536

MAX_REPORT_OCTETS = 1024 * 1024
"""A traceback is far shorter; a worker that sends more without an end of line is broken."""


class _WithoutFields:
    """A report without fields."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def _asdict(self) -> dict[str, Any]:
        return {}


class Ready(_WithoutFields):
    """The application is loaded and the service started."""


class ShowsFailure(_WithoutFields):
    """In development: the worker, which is about to be ready, only shows why the application cannot be loaded."""


class BootFailed(NamedTuple):
    """The application could not be loaded."""

    reason: str
    """One line."""
    details: str
    """The traceback of the user's own code, or nothing."""


class ReplaceMe(NamedTuple):
    """The worker serves, and asks to be replaced."""

    reason: str
    is_fault: bool = True
    """False if a setting of the operator's demands it."""


class FilesChanged(NamedTuple):
    """In development: files that the application is made of have changed."""

    paths: list[str]
    are_events_missed: bool = False
    """The kernel did not report the change: the next worker need not wait for its events."""


class Heartbeat(_WithoutFields):
    """The worker's main thread is alive."""


class FinalCounters(NamedTuple):
    """The worker exits, and had counted this."""

    counters: Counters


Report = Ready | ShowsFailure | BootFailed | ReplaceMe | FilesChanged | Heartbeat | FinalCounters

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Ready, ShowsFailure, BootFailed, ReplaceMe, FilesChanged, Heartbeat, FinalCounters)
}


def send_report(descriptor: int, report: Report) -> bool:
    """Write a report; False if its reader is gone."""
    rest = json.dumps({"report": type(report).__name__, **report._asdict()}).encode() + b"\n"
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except BrokenPipeError:
        return False
    return True


def send_heartbeat(descriptor: int) -> None:
    """Report `Heartbeat`, unless the pipe is full: then the master has unread ones anyway."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    if poll.poll(0):
        send_report(descriptor, Heartbeat())


class ReportReader:
    """Reads the reports of one sender from a pipe, without blocking."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._partial = b""
        self.is_open = True
        """False once the end of the pipe was read."""

    def fileno(self) -> int:
        return self._descriptor

    def read(self) -> list[Report]:
        """The reports that have arrived completely."""
        while self.is_open and len(self._partial) < MAX_REPORT_OCTETS:
            try:
                octets = os.read(self._descriptor, READ_OCTETS)
            except BlockingIOError:
                break
            self.is_open = bool(octets)
            self._partial += octets
        *lines, self._partial = self._partial.split(b"\n")
        return [_parse(line) for line in lines]

    def close(self) -> None:
        self.is_open = False
        os.close(self._descriptor)


def _parse(line: bytes) -> Report:
    content = json.loads(line)
    report: Report = _KINDS[content.pop("report")](**content)
    return report
