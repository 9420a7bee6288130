"""What a worker counts: cheap enough for every request, and exact without a lock.

Each thread has its own counters, which only that thread writes and any thread may read; a reader adds them up. A sum
may mix slightly different moments, but no increment is ever lost. Durations are counted in buckets whose bounds double,
because the bucket of a number is then its binary exponent.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from math import frexp
from threading import get_ident
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import Counters, Gauges, Histogram, RequestCounters

LOWEST_BOUND, HIGHEST_BOUND = -11, 7
"""Exponents of base 2: histograms distinguish durations from 0.49 ms to 128 s, each bound twice the one before."""

BOUNDS = (*[str(2.0**exponent) for exponent in range(LOWEST_BOUND, HIGHEST_BOUND + 1)], "+Inf")
"""The upper bounds of a histogram's buckets, in seconds."""

STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")

HUNDREDS = 10
"""Statuses from 600 on count as 5xx, as which clients take them (RFC 9110 section 15)."""

EXPONENT_OFFSET = 20
"""Added to a binary exponent, so that the index of a microsecond's bucket (2 ** -19) is not negative."""

BUCKETS = 44
"""Exponents from -20 to 23: from a microsecond to weeks."""

MICROSECOND = 1e-6
"""Added to a duration: 0.0 has no exponent, and nothing takes less."""

MAX_QUEUED_SECONDS = 3600.0
"""A longer wait, or a start further in the future, means that the proxy's clock is wrong."""


class _ThreadCounters:
    """Written by one thread."""

    __slots__ = (
        "aborted",
        "closed_idle",
        "queued",
        "queued_seconds",
        "received",
        "refused",
        "responses",
        "seconds",
        "sent",
        "shed",
    )

    def __init__(self) -> None:
        self.responses = [0] * (HUNDREDS * BUCKETS)  # by first digit of the status and bucket of duration
        self.seconds = 0.0
        self.queued = [0] * BUCKETS
        self.queued_seconds = 0.0
        self.sent = 0
        self.received = 0
        self.aborted = 0
        self.refused: dict[int, int] = {}
        self.shed: dict[str, int] = {}
        self.closed_idle: dict[str, int] = {}


class Metrics:
    """The counters of one worker."""

    def __init__(self) -> None:
        self._by_thread: dict[int, _ThreadCounters] = {}
        """By thread ident. Grows with the threads that serve, whose number is bounded."""
        self._last_sent = 0

    def responded(self, thread: int, status_code: int, seconds: float) -> None:
        """The application responded after `seconds`; `thread` is the caller's own ident."""
        try:
            counters = self._by_thread[thread]
        except KeyError:
            counters = self._by_thread[thread] = _ThreadCounters()
        counters.responses[status_code // 100 * BUCKETS + EXPONENT_OFFSET + frexp(seconds + MICROSECOND)[1]] += 1
        counters.seconds += seconds

    def closed(self, sent_bytes: int, is_aborted: bool) -> None:
        """A connection ended after `sent_bytes`; `is_aborted`: in the middle of a response."""
        counters = self._own()
        counters.sent += sent_bytes
        if is_aborted:
            counters.aborted += 1

    def received(self, content_bytes: int) -> None:
        """A request with that much content is complete."""
        self._own().received += content_bytes

    def queued(self, seconds: float) -> None:
        """A request waited that long between the proxy in front and the application."""
        counters = self._own()
        counters.queued[EXPONENT_OFFSET + frexp(seconds + MICROSECOND)[1]] += 1
        counters.queued_seconds += seconds

    def refused(self, status_code: int) -> None:
        """The server itself responded: the peer's fault, overload, or a timeout."""
        refused = self._own().refused
        refused[status_code] = refused.get(status_code, 0) + 1

    def shed(self, reason: str) -> None:
        """A request or connection was refused because of overload."""
        shed = self._own().shed
        shed[reason] = shed.get(reason, 0) + 1

    def closed_idle(self, reason: str) -> None:
        """An idle connection was closed to let a new one in."""
        closed = self._own().closed_idle
        closed[reason] = closed.get(reason, 0) + 1

    def counters(self, open_bytes: Iterable[int] = ()) -> RequestCounters:
        """Everything counted so far; `open_bytes` is what was sent on each connection that is still open.

        It is read after the sum of the closed ones, so a connection that closes in between is missed for a moment. A
        counter must not go back: until the sum has caught up, the last one is repeated.
        """
        threads = list(self._by_thread.values())
        responses = _columns([each.responses for each in threads], HUNDREDS * BUCKETS)
        by_class = [responses[start : start + BUCKETS] for start in range(0, len(responses), BUCKETS)]
        self._last_sent = max(self._last_sent, sum(each.sent for each in threads) + sum(open_bytes))
        refused: Counter[str] = Counter()
        shed: Counter[str] = Counter()
        closed_idle: Counter[str] = Counter()
        for each in threads:
            refused.update({str(code): count for code, count in each.refused.copy().items()})
            shed.update(each.shed.copy())
            closed_idle.update(each.closed_idle.copy())
        return {
            "responses": {
                **{name: sum(by_class[int(name[0])]) for name in STATUS_CLASSES},
                "5xx": sum(sum(row) for row in by_class[5:]),
            },
            "duration": _histogram(_columns(by_class, BUCKETS), sum(each.seconds for each in threads)),
            "queue": _histogram(
                _columns([each.queued for each in threads], BUCKETS), sum(each.queued_seconds for each in threads)
            ),
            "sent_bytes": self._last_sent,
            "received_bytes": sum(each.received for each in threads),
            "aborted": sum(each.aborted for each in threads),
            "refused": dict(refused),
            "shed": dict(shed),
            "closed_idle": dict(closed_idle),
        }

    def _own(self) -> _ThreadCounters:
        thread = get_ident()
        counters = self._by_thread.get(thread)
        if counters is None:
            counters = self._by_thread[thread] = _ThreadCounters()
        return counters


class SampledMetrics(Metrics):
    """Counters that also keep every status and duration until they are sent; used only with a StatsD server."""

    def __init__(self) -> None:
        super().__init__()
        self.samples: deque[tuple[int, float | None]] = deque()
        """Status code and seconds. Any thread appends; one thread empties it every second."""

    def responded(self, thread: int, status_code: int, seconds: float) -> None:
        super().responded(thread, status_code, seconds)
        self.samples.append((status_code, seconds))

    def refused(self, status_code: int) -> None:
        super().refused(status_code)
        self.samples.append((status_code, None))


def _columns(rows: Iterable[list[int]], length: int) -> list[int]:
    """The sums of rows of that length, column by column."""
    return [sum(column) for column in zip(*rows, strict=True)] or [0] * length


def _histogram(buckets: list[int], seconds: float) -> Histogram:
    first = EXPONENT_OFFSET + LOWEST_BOUND
    last = EXPONENT_OFFSET + HIGHEST_BOUND
    counts = [sum(buckets[: first + 1]), *buckets[first + 1 : last + 1], sum(buckets[last + 1 :])]
    return {"buckets": dict(zip(BOUNDS, counts, strict=True)), "seconds": seconds}


def no_counters() -> Counters:
    """The counters of a worker that has served nothing."""
    return {
        "responses": dict.fromkeys(STATUS_CLASSES, 0),
        "duration": {"buckets": dict.fromkeys(BOUNDS, 0), "seconds": 0.0},
        "queue": {"buckets": dict.fromkeys(BOUNDS, 0), "seconds": 0.0},
        "sent_bytes": 0,
        "received_bytes": 0,
        "aborted": 0,
        "refused": {},
        "shed": {},
        "closed_idle": {},
        "log_messages": {},
        "log_lost": {},
    }


def add_counters(counters: Iterable[Counters]) -> Counters:
    """Their sum, name by name."""
    return cast("Counters", _sum([no_counters(), *counters]))


def subtract_counters(after: Counters, before: Counters) -> Counters:
    """How much each counter grew."""
    return cast("Counters", _difference(after, before))


def add_gauges(gauges: Iterable[Gauges]) -> Gauges:
    """Their sum, name by name."""
    none: Gauges = {
        "in_flight": 0,
        "streaming": 0,
        "waiting": 0,
        "threads": {"active": 0, "parked": 0, "limit": 0},
        "connections": {},
        "waiting_for_clients": 0,
        "buffered_bytes": {},
    }
    return cast("Gauges", _sum([none, *gauges]))


def quantile(histogram: Histogram, share: float) -> float | None:
    """The upper bound of the bucket within which that share of the durations lies; None if there are none."""
    wanted = share * sum(histogram["buckets"].values())
    if not wanted:
        return None
    below = 0
    for bound, count in histogram["buckets"].items():
        below += count
        if below >= wanted:
            return float(bound)
    return float("inf")


def _sum(tables: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    sums: dict[str, Any] = {}
    for table in tables:
        for name, value in table.items():
            if isinstance(value, Mapping):
                sums[name] = _sum([sums.get(name, {}), value])
            else:
                sums[name] = sums.get(name, 0) + value
    return sums


def _difference(after: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _difference(value, before.get(name, {})) if isinstance(value, Mapping) else value - before.get(name, 0)
        for name, value in after.items()
    }


def queue_seconds(request_start: str, now: float) -> float | None:
    """How long ago `X-Request-Start` was (`now` is `time.time()`); None if the field's value is not usable.

    nginx writes `t=` and seconds with milliseconds; others write whole milliseconds or microseconds, which the size of
    the number distinguishes. A start in the near future comes from a clock that is ahead and counts as now.
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
