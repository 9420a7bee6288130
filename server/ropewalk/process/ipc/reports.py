"""What a worker tells its master over its pipe: one line of JSON for each report."""

from __future__ import annotations

import json
import os
import select
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import Counters

READ_BYTES = 65536

MAX_REPORT_BYTES = 1024 * 1024
"""A traceback is far shorter; a worker that sends more without an end of line is not one of ours."""


class _Bare:
    """A report of which its kind says everything."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def _asdict(self) -> dict[str, Any]:
        return {}


class Ready(_Bare):
    """The application is loaded and the service started."""


class BootFailed(NamedTuple):
    """The application could not be loaded."""

    reason: str
    """One line."""
    details: str
    """The traceback of the user's own code, or nothing."""


class ReplaceMe(NamedTuple):
    """The worker serves, but should not for long."""

    reason: str
    is_fault: bool = True
    """Rather than what the operator asked for."""


class Alive(_Bare):
    """The worker's main thread still comes round."""


class Farewell(NamedTuple):
    """The worker ends, and had counted this."""

    counters: Counters


Report = Ready | BootFailed | ReplaceMe | Alive | Farewell

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Ready, BootFailed, ReplaceMe, Alive, Farewell)}


def send_report(descriptor: int, report: Report) -> bool:
    """Write a report; False when there is no master any more."""
    rest = json.dumps({"report": type(report).__name__, **report._asdict()}).encode() + b"\n"
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except BrokenPipeError:
        return False
    return True


def send_sign_of_life(descriptor: int) -> None:
    """Report `Alive`, unless that would have to wait for the master: it is repeated anyhow."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    if poll.poll(0):
        send_report(descriptor, Alive())


class ReportReader:
    """The reports of one worker, from a pipe that does not block."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._partial = b""
        self.is_open = True
        """Until the end of the pipe was read."""

    def fileno(self) -> int:
        return self._descriptor

    def read(self) -> list[Report]:
        """The reports that are complete by now."""
        while self.is_open and len(self._partial) < MAX_REPORT_BYTES:
            try:
                octets = os.read(self._descriptor, READ_BYTES)
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
