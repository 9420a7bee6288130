"""What a worker counts: cheap enough for every request, and exact without a lock.

Each thread has counters of its own, which it alone writes and everybody may read; whoever asks adds them up. A sum may
therefore be of slightly different moments; none is ever lost. Durations are counted in buckets that double, since the
bucket of a number is then its exponent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import frexp
from threading import get_ident
from typing import Any

EXPONENT_OFFSET = 20
"""Added to an exponent of base 2, so that a microsecond (2 ** -19) is not negative."""

BUCKETS = 44
"""Exponents from -20 to 23: from a microsecond to weeks."""

MOMENT = 1e-6
"""Added to a duration: 0.0 has no exponent, and nothing is done in less."""

LEAST_SHOWN, MOST_SHOWN = -11, 7
"""The buckets that are told apart end at 2 ** -11 s (0.49 ms), and double up to 2 ** 7 s (128 s)."""

MAX_QUEUED_SECONDS = 3600.0
"""A request that seems to have waited longer, or to come from further in the future, comes from a wrong clock."""

Counted = dict[str, Any]
"""Numbers by name, or more such tables: what `total` adds up."""


class _Counts:
    """Of one thread."""

    __slots__ = ("content_octets", "cut", "octets", "queued", "queued_seconds", "refused", "runs", "seconds", "shed")

    def __init__(self) -> None:
        self.runs = [0] * (6 * BUCKETS)  # by class of status and bucket of duration
        self.seconds = 0.0
        self.queued = [0] * BUCKETS
        self.queued_seconds = 0.0
        self.octets = 0
        self.content_octets = 0
        self.cut = 0
        self.refused: dict[int, int] = {}
        self.shed: dict[str, int] = {}


class Metrics:
    """The counters of one worker."""

    def __init__(self) -> None:
        self._by_thread: dict[int, _Counts] = {}
        """By thread ident. Grows with the threads that serve, which are bounded."""
        self._octets_told = 0

    def ran(self, thread: int, status_code: int, seconds: float) -> None:
        """The application answered; `thread` is the caller's own ident."""
        try:
            counts = self._by_thread[thread]
        except KeyError:
            counts = self._by_thread[thread] = _Counts()
        counts.runs[status_code // 100 * BUCKETS + EXPONENT_OFFSET + frexp(seconds + MOMENT)[1]] += 1
        counts.seconds += seconds

    def closed(self, octets: int, is_cut: bool) -> None:
        """A connection ended on which so many octets were sent; `is_cut` tells whether in the midst of an answer."""
        counts = self._own()
        counts.octets += octets
        if is_cut:
            counts.cut += 1

    def received(self, octets: int) -> None:
        """A request with so many octets of content is whole."""
        self._own().content_octets += octets

    def queued(self, seconds: float) -> None:
        """A request waited so long between the proxy in front and the application."""
        counts = self._own()
        counts.queued[EXPONENT_OFFSET + frexp(seconds + MOMENT)[1]] += 1
        counts.queued_seconds += seconds

    def refused(self, status_code: int) -> None:
        """The server itself answered: a fault of the peer, overload, or a timeout."""
        refused = self._own().refused
        refused[status_code] = refused.get(status_code, 0) + 1

    def shed(self, reason: str) -> None:
        """A request, or a connection, was turned away for overload."""
        shed = self._own().shed
        shed[reason] = shed.get(reason, 0) + 1

    def counters(self, open_octets: Iterable[int] = ()) -> Counted:
        """Everything counted so far, by name; `open_octets` are those sent on each connection that is still open.

        It is iterated over behind the sum of those closed: one that closes between the two is missed for a moment,
        and the last sum stands for so long, since a counter may not go back.
        """
        every = list(self._by_thread.values())
        runs = [sum(each) for each in zip(*(counts.runs for counts in every), strict=True)] or [0] * (6 * BUCKETS)
        by_class = [runs[start : start + BUCKETS] for start in range(0, len(runs), BUCKETS)]
        queued = [sum(each) for each in zip(*(counts.queued for counts in every), strict=True)] or [0] * BUCKETS
        octets = sum(counts.octets for counts in every) + sum(open_octets)
        self._octets_told = max(self._octets_told, octets)
        return {
            "answers": {f"{number}xx": sum(by_class[number]) for number in range(1, 6)},
            "duration": _histogram(
                [sum(each) for each in zip(*by_class, strict=True)], sum(counts.seconds for counts in every)
            ),
            "queue": _histogram(queued, sum(counts.queued_seconds for counts in every)),
            "octets_sent": self._octets_told,
            "octets_received": sum(counts.content_octets for counts in every),
            "cut": sum(counts.cut for counts in every),
            "refused": total({str(code): n for code, n in dict(counts.refused).items()} for counts in every),
            "shed": total(dict(counts.shed) for counts in every),
        }

    def _own(self) -> _Counts:
        thread = get_ident()
        counts = self._by_thread.get(thread)
        if counts is None:
            counts = self._by_thread[thread] = _Counts()
        return counts


def _histogram(buckets: list[int], seconds: float) -> Counted:
    """Counts by the end of their bucket in seconds, each on its own (not yet those below it too)."""
    first = EXPONENT_OFFSET + LEAST_SHOWN
    last = EXPONENT_OFFSET + MOST_SHOWN
    shown = {str(2.0**LEAST_SHOWN): sum(buckets[: first + 1])}
    for index in range(first + 1, last + 1):
        shown[str(2.0 ** (index - EXPONENT_OFFSET))] = buckets[index]
    shown["+Inf"] = sum(buckets[last + 1 :])
    return {"buckets": shown, "seconds": seconds}


def total(tables: Iterable[Mapping[str, Any]]) -> Counted:
    """The sums of what several tables count, name by name."""
    sums: Counted = {}
    for table in tables:
        for name, value in table.items():
            if isinstance(value, Mapping):
                sums[name] = total([sums.get(name, {}), value])
            else:
                sums[name] = sums.get(name, 0) + value
    return sums


def quantile(histogram: Mapping[str, Any], share: float) -> float | None:
    """The seconds within which that share of requests was answered, to the end of its bucket; None without any."""
    buckets = histogram.get("buckets", {})
    wanted = share * sum(buckets.values())
    if not wanted:
        return None
    below = 0
    for end, count in buckets.items():
        below += count
        if below >= wanted:
            return float(end)
    return float("inf")


def queue_seconds(request_start: str, now: float) -> float | None:
    """How long ago `X-Request-Start` was (`now` is `time.time()`); None when it does not tell.

    nginx writes `t=` and seconds with milliseconds, others milliseconds or microseconds without a point: a number that
    large can only be one of them. A start in the future is of a clock that is ahead: then it was just now.
    """
    try:
        start = float(request_start.removeprefix("t="))
    except ValueError:
        return None
    if start > 1e14:
        start /= 1e6
    elif start > 1e11:
        start /= 1e3
    seconds = now - start
    return max(0.0, seconds) if abs(seconds) <= MAX_QUEUED_SECONDS else None
