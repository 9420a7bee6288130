"""The signals that interrupt a deployment. The handlers only take a note: what waits looks at it ten times a second."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from kit.release.errors import InterruptedByUser

CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    def __init__(self) -> None:
        self.received = 0
        """The number of the first signal, or 0. Its only writer is the handler."""
        self._is_deferred = False

    def __enter__(self) -> Self:
        # A signal that is ignored, as SIGHUP is with nohup, stays so.
        caught = [number for number in CAUGHT if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._note) for number in caught}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = self.received or number

    def check(self) -> None:
        """Raises InterruptedByUser if one has arrived, unless they are deferred."""
        if self.received and not self._is_deferred:
            raise InterruptedByUser(self.received)

    def defer(self) -> None:
        """From now on nothing is interrupted: what has begun is completed, or undone."""
        self._is_deferred = True

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """What must not stop halfway: a signal is noticed after it."""
        before, self._is_deferred = self._is_deferred, True
        try:
            yield
        finally:
            self._is_deferred = before
