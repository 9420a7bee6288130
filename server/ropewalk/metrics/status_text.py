"""The status of a server as `ropewalk status` and `top` show it to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, NamedTuple

from ropewalk.logs.escape import printable
from ropewalk.metrics.counters import Counted, quantile

MAX_RUNNING = 10

MAX_REQUEST = 90
"""Characters, so that a line stays one on a terminal."""

SHARES = (("half", 0.5), ("9 of 10", 0.9), ("99 of 100", 0.99))

Status = Mapping[str, Any]


class Interval(NamedTuple):
    """Two looks at the same server."""

    seconds: float
    before: Status
    after: Status

    def more(self, *names: str) -> Counted:
        """How much more each of the numbers of a table of the totals is."""
        return _difference(_table(self.after["totals"], names), _table(self.before["totals"], names))

    def rate(self, pid: int) -> float | None:
        """Answers a second of one worker; None where it was not there, or did not tell."""
        after, before = _answers(self.after, pid), _answers(self.before, pid)
        return None if after is None or before is None else (after - before) / self.seconds


def summary(status: Status, interval: Interval | None = None) -> str:
    """Some lines; of what happened in `interval`, or else since the start."""
    return "".join(f"{line}\n" for line in _lines(status, interval))


def _lines(status: Status, interval: Interval | None) -> Iterator[str]:
    totals, gauges = status["totals"], status["gauges"]
    readiness = "ready" if status["ready"] else "not ready"
    yield (
        f"ropewalk {status['version']}, process {status['pid']}: {readiness}, {status['state']}, "
        f"up {shown_duration(status['uptime'])}, {shown_size(status['resident'])}"
    )
    if status["last_reload_failure"]:
        yield f"last reload failed: {printable(status['last_reload_failure'])}"
    counts = [_counts("answered", totals.get("answers", {})), _counts("refused", totals.get("refused", {}))]
    if totals.get("cut"):
        counts.append(f"cut {totals['cut']}")
    counts += [_counts("lost lines of logs", lost)] if any((lost := totals.get("log_lost", {})).values()) else []
    yield ", ".join(counts)
    yield from _durations(totals, interval)
    yield f"in flight {gauges.get('in_flight', 0)}, waiting {gauges.get('waiting', 0)}"
    yield f"workers wanted {status['target']}; " + _listed(status["events"])
    yield ""
    yield from _worker_table(status, interval)
    yield from _running_longest(status)


def _durations(totals: Mapping[str, Any], interval: Interval | None) -> Iterator[str]:
    if interval is None:
        duration, queue, when = totals.get("duration", {}), totals.get("queue", {}), "since the start"
    else:
        duration, queue = interval.more("duration"), interval.more("queue")
        when = f"in {shown_duration(interval.seconds)}"
        answers = sum(interval.more("answers").values()) / interval.seconds
        octets = interval.more().get("octets_sent", 0) / interval.seconds
        yield f"{answers:.1f} a second, {shown_size(octets)} a second"
    yield f"{when}: {_within(duration)}"
    if sum(queue.get("buckets", {}).values()):
        yield f"queued {when}: {_within(queue)}"


def _within(histogram: Mapping[str, Any]) -> str:
    if not sum(histogram.get("buckets", {}).values()):
        return "no answers"
    return ", ".join(f"{name} within {shown_duration(quantile(histogram, share))}" for name, share in SHARES)


def _worker_table(status: Status, interval: Interval | None) -> Iterator[str]:
    yield (
        "    process  state      age       memory  a second  in flight  waiting  connections  "
        "threads (active, may be, all)"
    )
    for worker in status["workers"]:
        yield _worker_line(worker, interval)


BOOTING = ("booting", "stale")
"""States of workers that load the application, and have no thread yet that could answer."""


def _worker_line(worker: Mapping[str, Any], interval: Interval | None) -> str:
    age, memory = shown_duration(worker["age"]), shown_size(worker["resident"])
    start = f"  {worker['pid']:>9}  {worker['state']:9}  {age:8}  {memory:>6}"
    if not worker["look"]:
        return f"{start}  {'' if worker['state'] in BOOTING else 'does not answer'}".rstrip()
    gauges = worker["look"]["gauges"]
    threads = gauges["threads"]
    rate = None if interval is None else interval.rate(worker["pid"])
    return (
        f"{start}  {'-' if rate is None else format(rate, '.1f'):>8}  {gauges['in_flight']:>9}  "
        f"{gauges['waiting']:>7}  {sum(gauges['connections'].values()):>11}  "
        f"{threads['active']}, {threads['limit']}, {threads['active'] + threads['parked']}"
    )


def _running_longest(status: Status) -> Iterator[str]:
    running = [
        (each["seconds"], worker["pid"], each["request"])
        for worker in status["workers"]
        if worker["look"]
        for each in worker["look"]["running"]
    ]
    if running:
        yield ""
        yield "    running  process  request"
    for seconds, pid, request in sorted(running, reverse=True)[:MAX_RUNNING]:
        yield f"  {shown_duration(seconds):>9}  {pid:>7}  {_cut(printable(request))}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_REQUEST else text[: MAX_REQUEST - 3] + "..."


def _counts(name: str, table: Mapping[str, int]) -> str:
    counted = {key: count for key, count in table.items() if count}
    return f"{name} {sum(counted.values())}" + (f" ({_listed(counted)})" if counted else "")


def _listed(table: Mapping[str, int]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {count}" for key, count in table.items())


def _table(totals: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        totals = totals.get(name, {})
    return totals


def _difference(after: Mapping[str, Any], before: Mapping[str, Any]) -> Counted:
    return {
        name: _difference(value, before.get(name, {})) if isinstance(value, Mapping) else value - before.get(name, 0)
        for name, value in after.items()
    }


def _answers(status: Status, pid: int) -> int | None:
    for worker in status["workers"]:
        if worker["pid"] == pid and worker["look"]:
            return int(sum(worker["look"]["counters"]["answers"].values()))
    return None


def shown_duration(seconds: float | None) -> str:
    """Seconds as a person reads them."""
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


def shown_size(octets: float) -> str:
    """Octets as a person reads them."""
    for unit, size in (("G", 1 << 30), ("M", 1 << 20)):
        if octets >= size:
            return f"{octets / size:.1f} {unit}"
    return f"{octets / 1024:.0f} k"
