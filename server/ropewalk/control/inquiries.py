"""What the master tells of itself and its workers, and what it can be asked to do.

Questions to workers are *inquiries*: asked over their channels, answered when every worker has, or when a moment has
passed without (a worker may be stopped, or hold its interpreter's lock). Main thread of the master only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ropewalk.control.server import ControlListener
from ropewalk.metrics.counters import add_counters, no_counters
from ropewalk.process.master.api import MasterApi
from ropewalk.process.master.worker_handle import WorkerHandle

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import Counters

INQUIRY_SECONDS = 1.0
"""A worker answers within milliseconds, or a tenth of a second with many busy threads."""

Answers = Mapping[int, Any]
"""By process id; None for a worker that did not answer."""


class Pollable(Protocol):
    """What the master's loop attends to: a desk, or whatever else is never in its way."""

    def pollable(self) -> Iterator[tuple[int, int]]:
        """Descriptors, and the events that are awaited on each."""

    def seconds_to_act(self, now: float) -> float | None:
        """Until it has something to do without an event."""

    def attend(self, ready: set[int]) -> None:
        """Do what is to be done; the descriptors that are ready may be anybody's."""

    def abandon(self) -> None:
        """Close everything, in a forked child or at the end."""


class _Inquiry(NamedTuple):
    deadline: float
    waits_for: set[int]
    answers: dict[int, Any]
    done: Callable[[Answers], None]


class ControlHub:
    """The desks of a master, and the inquiries that they caused."""

    def __init__(self, *, version: str = "") -> None:
        """`version` is part of the status."""
        self.version = version
        self.chief: MasterApi
        """Set by the master before anything else is called."""
        self.gone = no_counters()
        """The final counters of workers that have exited, added up."""
        self._desks: list[Pollable] = []
        self._shared: list[ControlListener] = []
        self._inquiries: dict[int, _Inquiry] = {}
        self._next_number = 0

    def attach(self, master: MasterApi) -> None:
        self.chief = master

    def open(self, desk: Pollable) -> None:
        self._desks.append(desk)

    def open_shared(self, desk: ControlListener) -> None:
        """During an upgrade both masters have its socket, and one of them answers."""
        self._desks.append(desk)
        self._shared.append(desk)

    def rest(self, is_resting: bool) -> None:
        """Leave the shared desks to the other master, or take them back."""
        for desk in self._shared:
            desk.is_resting = is_resting

    # For those who visit

    def inquire(self, question: str, done: Callable[[Answers], None]) -> None:
        """Ask every worker that serves or ends; `done` is called with the answers, perhaps at once."""
        self._next_number += 1
        number = self._next_number
        views = [view for view in self.chief.workers() if view.channel is not None]
        answers: dict[int, Any] = {view.pid: None for view in views}
        asked = {view.pid for view in views if view.channel is not None and view.channel.ask(number, question)}
        inquiry = _Inquiry(time.monotonic() + INQUIRY_SECONDS, asked, answers, done)
        if asked:
            self._inquiries[number] = inquiry
        else:
            done(answers)

    def count_gone(self, counters: Counters) -> None:
        """Keep the final counters of a worker that has exited."""
        self.gone = add_counters([self.gone, counters])

    # For the master's loop

    def pollable(self) -> Iterator[tuple[int, int]]:
        for desk in self._desks:
            yield from desk.pollable()

    def seconds_to_act(self, now: float) -> float | None:
        moments = [max(0.0, inquiry.deadline - now) for inquiry in self._inquiries.values()]
        moments += [seconds for desk in self._desks if (seconds := desk.seconds_to_act(now)) is not None]
        return min(moments, default=None)

    def attend(self, ready: set[int]) -> None:
        """Take what workers answered and visitors said."""
        for view in self.chief.workers():
            if view.channel is None or view.channel.fileno() not in ready:
                continue
            for line in view.channel.read():
                self._take_answer(view, line)
        self._end_inquiries()
        for desk in self._desks:
            desk.attend(ready)

    def forget(self, view: WorkerHandle) -> None:
        """A worker is gone: nobody waits for it any more."""
        for inquiry in self._inquiries.values():
            inquiry.waits_for.discard(view.pid)

    def abandon(self) -> None:
        """Close everything, in a forked child or at the end."""
        for desk in self._desks:
            desk.abandon()
        self._desks.clear()
        self._inquiries.clear()

    def _take_answer(self, view: WorkerHandle, line: Mapping[str, Any]) -> None:
        inquiry = self._inquiries.get(line["id"])
        answer = line["answer"]
        if isinstance(answer, dict) and "counters" in answer:
            view.counters = answer["counters"]
        if inquiry is not None and view.pid in inquiry.waits_for:
            inquiry.waits_for.discard(view.pid)
            inquiry.answers[view.pid] = answer

    def _end_inquiries(self) -> None:
        now = time.monotonic()
        for number, inquiry in list(self._inquiries.items()):
            if not inquiry.waits_for or now >= inquiry.deadline:
                del self._inquiries[number]
                inquiry.done(inquiry.answers)
