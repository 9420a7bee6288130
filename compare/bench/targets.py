"""What is to be reached, as ratios of medians in one run, and whether it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

Medians = Mapping[str, Mapping[str, float]]  # by backend, by metric

HIGHER_IS_BETTER = {"rate", "rate_cpu"}
BEST = "best peer"
NAMES = {
    "rate": "req/s",
    "idle_octets": "memory of a connection",
    "rate_without": "its own without them",
    "p99_of_one": "its own with one thread",
    "busiest_kept": "busiest worker, kept connections,",
    "busiest_new": "busiest worker, new connections,",
    "settle": "settled",
    "held_short": "longest wait behind short requests",
    "held_long": "longest wait behind long requests",
}


class Mark(Enum):
    REACHED = "reached"
    MISSED = "not reached"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Target:
    """`metric` of `who` against that of `against` (a backend, `BEST`, or a plain number when it is empty).

    For a metric of which more is better the ratio is to be `bound` at least, for another `bound` at most.
    """

    metric: str
    bound: float
    against: str = ""
    who: str = "ropewalk"
    of_metric: str = ""  # the other's metric, where it is another one

    def __str__(self) -> str:
        sign = "at least" if self.metric in HIGHER_IS_BETTER else "at most"
        name = NAMES.get(self.metric, self.metric)
        if not self.against:
            return f"{name} {sign} {shown(self.metric, self.bound)}"
        other = NAMES.get(self.of_metric, self.against)
        return f"{name} {sign} {self.bound:g} x {other}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a target: the ratio (or the value itself), against whom, and the mark."""

    target: Target
    value: float | None
    against: str
    mark: Mark


def shown(metric: str, value: float) -> str:
    """A value with its unit."""
    if metric.startswith("busiest"):
        return f"{value:.2f} x the mean"
    if metric == "idle_octets":
        return f"{value / 1024:.1f} KiB"
    if metric in ("memory", "resident"):
        return f"{value / 1e6:.1f} MB"
    if metric in HIGHER_IS_BETTER or metric.startswith("rate"):
        return f"{value:,.0f}".replace(",", " ")
    if metric == "failures":
        return f"{value:.0f}"
    return f"{value * 1000:.2f} ms" if value < 0.01 else f"{value * 1000:.0f} ms"


def judge(target: Target, medians: Medians) -> Verdict:
    """Compare; a target of a peer that was not measured is `UNKNOWN`."""
    mine = medians.get(target.who, {}).get(target.metric)
    against, other = _other(target, medians)
    if mine is None or other is None or (target.against and not other):
        return Verdict(target, None, against, Mark.UNKNOWN)
    value = mine / other if target.against else mine
    reached = value >= target.bound if target.metric in HIGHER_IS_BETTER else value <= target.bound
    return Verdict(target, value, against, Mark.REACHED if reached else Mark.MISSED)


def _other(target: Target, medians: Medians) -> tuple[str, float | None]:
    if not target.against:
        return "", 1.0
    metric = target.of_metric or target.metric
    if target.against != BEST:
        return target.against, medians.get(target.against, {}).get(metric)
    peers = {name: values[metric] for name, values in medians.items() if metric in values}
    peers = {name: value for name, value in peers.items() if not name.startswith(target.who)}
    if not peers:
        return BEST, None
    best = max if metric in HIGHER_IS_BETTER else min
    name = best(peers, key=peers.__getitem__)
    return name, peers[name]
