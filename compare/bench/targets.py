"""Targets, mostly ratios between two servers in one run, and whether they are met.

A ratio is taken within each round, in which both were measured soon after one another, and the median of these ratios
counts: what slows the whole machine for some minutes changes both figures of a round.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from bench.spread import is_within_noise, spread, spread_of_ratio

Rounds = Mapping[str, Sequence[Mapping[str, float]]]  # by server, in the order of the rounds, by metric

HIGHER_IS_BETTER = {"rate", "rate_cpu"}
BEST = "best peer"
PURE, COMPILED = "ropewalk", "ropewalk-compiled"
NAMES = {
    "rate": "requests/s",
    "rate_cpu": "requests per CPU second",
    "connection_memory": "memory per connection",
    "rate_baseline": "its own baseline",
    "p99_one_thread": "its own with one thread",
    "busiest_keep_alive": "busiest worker, keep-alive connections",
    "busiest_new": "busiest worker, new connections",
    "settled": "time to settle",
    "delay_short": "delay after short requests",
    "delay_long": "delay after long requests",
}


class Mark(Enum):
    MET = "met"
    MISSED = "missed"
    NOISE = "within noise"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for `metric` of `server` relative to `against`: a server, or `BEST`; if empty, the bound is absolute.

    It is a lower bound for metrics in `HIGHER_IS_BETTER` and an upper bound for all others.
    """

    metric: str
    bound: float
    against: str = ""
    server: str = PURE
    of_metric: str = ""  # the metric of `against`, if it differs

    def __str__(self) -> str:
        sign = "at least" if self.metric in HIGHER_IS_BETTER else "at most"
        name = NAMES.get(self.metric, self.metric)
        if not self.against:
            return f"{name} {sign} {shown(self.metric, self.bound)}"
        other = NAMES.get(self.of_metric, self.against)
        return f"{name} {sign} {self.bound:g} × {other}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a target: the ratio (or the value, if the bound is absolute) and the server compared with.

    `noise` is relative: how far the value may be from what more rounds would give.
    """

    target: Target
    value: float | None
    against: str
    mark: Mark
    noise: float = 0.0


def shown(metric: str, value: float) -> str:
    """A value with its unit."""
    if metric.startswith("busiest"):
        return f"{value:.2f} × the mean"
    if metric == "connection_memory":
        return f"{value / 1024:.1f} KiB"
    if metric in ("memory", "resident"):
        return f"{value / 1e6:.1f} MB"
    if metric in HIGHER_IS_BETTER or metric.startswith("rate"):
        return f"{value:,.0f}"
    if metric == "failures":
        return f"{value:.0f}"
    return f"{value * 1000:.2f} ms" if value < 0.01 else f"{value * 1000:.0f} ms"


def judge(target: Target, rounds: Rounds) -> Verdict:
    """Compare; `UNKNOWN` if either server was not measured."""
    mine = _values(rounds, target.server, target.metric)
    if not target.against:
        if not mine:
            return Verdict(target, None, "", Mark.UNKNOWN)
        value = sum(mine) if target.metric == "failures" else statistics.median(mine)
        return _verdict(target, "", value, spread(mine))
    against = _best_peer(target, rounds) if target.against == BEST else target.against
    ratios = ratios_of(mine, _values(rounds, against, target.of_metric or target.metric))
    if not ratios:
        return Verdict(target, None, against, Mark.UNKNOWN)
    return _verdict(target, against, statistics.median(ratios), spread_of_ratio(ratios))


def ratio_by_cpu_time(target: Target, against: str, rounds: Rounds) -> float | None:
    """The ratio of requests per second of CPU time, for a target that compares the rates of two servers."""
    if target.metric != "rate" or not target.against or target.of_metric:
        return None
    ratios = ratios_of(_values(rounds, target.server, "rate_cpu"), _values(rounds, against, "rate_cpu"))
    return statistics.median(ratios) if ratios else None


def ratios_of(mine: Sequence[float], others: Sequence[float]) -> list[float]:
    """Of each round in which both were measured."""
    return [one / other for one, other in zip(mine, others, strict=False) if other]


def _verdict(target: Target, against: str, value: float, noise: float) -> Verdict:
    if is_within_noise(value, target.bound, noise):
        return Verdict(target, value, against, Mark.NOISE, noise)
    is_met = value >= target.bound if target.metric in HIGHER_IS_BETTER else value <= target.bound
    return Verdict(target, value, against, Mark.MET if is_met else Mark.MISSED, noise)


def _values(rounds: Rounds, server: str, metric: str) -> list[float]:
    return [one[metric] for one in rounds.get(server, ()) if metric in one]


def _best_peer(target: Target, rounds: Rounds) -> str:
    metric = target.of_metric or target.metric
    values = {name: _values(rounds, name, metric) for name in rounds if not name.startswith(PURE)}
    medians = {name: statistics.median(found) for name, found in values.items() if found}
    best = max if metric in HIGHER_IS_BETTER else min
    return best(medians, key=medians.__getitem__, default=BEST)
