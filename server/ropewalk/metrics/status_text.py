"""The status of a server as text for people: `ropewalk status` and `ropewalk top`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from ropewalk.logs.escape import escape
from ropewalk.metrics.counters import quantile, subtract_counters

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import Counters, Histogram, ServerStatus, WorkerStatus

MAX_RUNNING = 10

MAX_REQUEST_LENGTH = 90
"""Characters, so that it fits on one line of a terminal."""

SHARES = (("50%", 0.5), ("90%", 0.9), ("99%", 0.99))

BOOTING = ("booting", "stale")
"""States of workers that are loading the application, and have no thread yet that could reply."""


class Interval(NamedTuple):
    """Two statuses of the same server, `seconds` apart."""

    seconds: float
    before: ServerStatus
    after: ServerStatus

    def counted(self) -> Counters:
        """How much each of the totals grew."""
        return subtract_counters(self.after["totals"], self.before["totals"])

    def rate(self, pid: int) -> float | None:
        """Responses per second of one worker; None unless it replied both times."""
        after, before = _responses(self.after, pid), _responses(self.before, pid)
        return None if after is None or before is None else (after - before) / self.seconds


def summary(status: ServerStatus, interval: Interval | None = None) -> str:
    """Some lines; rates and durations are those of `interval`, or without one since the start."""
    return "".join(f"{line}\n" for line in _lines(status, interval))


def _lines(status: ServerStatus, interval: Interval | None) -> Iterator[str]:
    totals, gauges = status["totals"], status["gauges"]
    readiness = "ready" if status["ready"] else "not ready"
    yield (
        f"ropewalk {status['version']} ({status['build']}), process {status['pid']}: {readiness}, {status['state']}, "
        f"up {shown_duration(status['uptime'])}, {shown_size(status['resident'])}"
    )
    if status["last_reload_failure"]:
        yield f"last reload failed: {escape(status['last_reload_failure'])}"
    counts = [_counts("responses", totals["responses"]), _counts("refused", totals["refused"])]
    if totals["aborted"]:
        counts.append(f"aborted {totals['aborted']}")
    if totals["closed_idle"]:
        counts.append(_counts("closed idle connections", totals["closed_idle"]))
    if any(totals["log_lost"].values()):
        counts.append(_counts("lost log lines", totals["log_lost"]))
    yield ", ".join(counts)
    yield from _durations(totals, interval)
    slow = (
        f", threads waiting for slow clients {gauges['waiting_for_clients']}" if gauges["waiting_for_clients"] else ""
    )
    yield f"in flight {gauges['in_flight']} (streams {gauges['streaming']}), waiting {gauges['waiting']}{slow}"
    if buffered := {name: shown_size(size) for name, size in gauges["buffered_bytes"].items() if size}:
        yield f"buffered: {_listed(buffered)}"
    yield f"workers wanted {status['target']}; " + _listed(status["events"])
    yield ""
    yield from _worker_table(status, interval)
    yield from _longest_running(status)


def _durations(totals: Counters, interval: Interval | None) -> Iterator[str]:
    counted, period = totals, "since the start"
    if interval is not None:
        counted, period = interval.counted(), f"in {shown_duration(interval.seconds)}"
        responses = sum(counted["responses"].values()) / interval.seconds
        yield f"{responses:.1f} responses/s, {shown_size(counted['sent_bytes'] / interval.seconds)}/s"
    yield f"response time {period}: {_within(counted['duration'])}"
    if any(counted["queue"]["buckets"].values()):
        yield f"queue time {period}: {_within(counted['queue'])}"


def _within(histogram: Histogram) -> str:
    if not any(histogram["buckets"].values()):
        return "no responses"
    return ", ".join(f"{name} within {shown_duration(quantile(histogram, share))}" for name, share in SHARES)


def _worker_table(status: ServerStatus, interval: Interval | None) -> Iterator[str]:
    yield (
        "    process  state      age       memory  per second  in flight  streams  waiting  connections  "
        "threads (active, limit, all)"
    )
    for worker in status["workers"]:
        yield _worker_line(worker, interval)


def _worker_line(worker: WorkerStatus, interval: Interval | None) -> str:
    age, memory = shown_duration(worker["age"]), shown_size(worker["resident"])
    start = f"  {worker['pid']:>9}  {worker['state']:9}  {age:8}  {memory:>6}"
    if worker["snapshot"] is None:
        return f"{start}  {'' if worker['state'] in BOOTING else 'does not respond'}".rstrip()
    gauges = worker["snapshot"]["gauges"]
    threads = gauges["threads"]
    rate = None if interval is None else interval.rate(worker["pid"])
    return (
        f"{start}  {'-' if rate is None else format(rate, '.1f'):>10}  {gauges['in_flight']:>9}  "
        f"{gauges['streaming']:>7}  {gauges['waiting']:>7}  {sum(gauges['connections'].values()):>11}  "
        f"{threads['active']}, {threads['limit']}, {threads['active'] + threads['parked']}"
    )


def _longest_running(status: ServerStatus) -> Iterator[str]:
    running = [
        (each["seconds"], worker["pid"], each["request"])
        for worker in status["workers"]
        if worker["snapshot"] is not None
        for each in worker["snapshot"]["running"]
    ]
    if running:
        yield ""
        yield "    running  process  request"
    for seconds, pid, request in sorted(running, reverse=True)[:MAX_RUNNING]:
        yield f"  {shown_duration(seconds):>9}  {pid:>7}  {_shortened(escape(request))}"


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_REQUEST_LENGTH else text[: MAX_REQUEST_LENGTH - 3] + "..."


def _counts(name: str, table: Mapping[str, int]) -> str:
    counted = {key: count for key, count in table.items() if count}
    return f"{name} {sum(counted.values())}" + (f" ({_listed(counted)})" if counted else "")


def _listed(table: Mapping[str, object]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {count}" for key, count in table.items())


def _responses(status: ServerStatus, pid: int) -> int | None:
    for worker in status["workers"]:
        if worker["pid"] == pid and worker["snapshot"] is not None:
            return sum(worker["snapshot"]["counters"]["responses"].values())
    return None


def shown_duration(seconds: float | None) -> str:
    """Seconds for people: `12.5 ms`, `3.2 min`; `longer` for infinity and `-` for None."""
    if seconds is None:
        return "-"
    if seconds == inf:
        return "longer"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def shown_size(size: float) -> str:
    """Bytes for people, in k, M or G (powers of 1024)."""
    for unit, factor in (("G", 1 << 30), ("M", 1 << 20)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1024:.0f} k"
