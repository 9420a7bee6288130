"""Targets, mostly ratios between the medians of two servers in one run, and whether they are met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from bench.spread import is_within_noise, noise_of_ratio

Medians = Mapping[str, Mapping[str, float]]  # by server, by metric

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


def judge(target: Target, medians: Medians, spreads: Medians | None = None) -> Verdict:
    """Compare; `UNKNOWN` if either server was not measured. `spreads` are those of the medians."""
    mine = medians.get(target.server, {}).get(target.metric)
    against, other = _other(target, medians)
    if mine is None or other is None or (target.against and not other):
        return Verdict(target, None, against, Mark.UNKNOWN)
    value = mine / other if target.against else mine
    noise = _noise(target, against, spreads or {})
    if is_within_noise(value, target.bound, noise):
        return Verdict(target, value, against, Mark.NOISE, noise)
    is_met = value >= target.bound if target.metric in HIGHER_IS_BETTER else value <= target.bound
    return Verdict(target, value, against, Mark.MET if is_met else Mark.MISSED, noise)


def _noise(target: Target, against: str, spreads: Medians) -> float:
    mine = spreads.get(target.server, {}).get(target.metric)
    if mine is None or not target.against:
        return mine or 0.0
    return noise_of_ratio(mine, spreads[against][target.of_metric or target.metric])


def _other(target: Target, medians: Medians) -> tuple[str, float | None]:
    if not target.against:
        return "", 1.0
    metric = target.of_metric or target.metric
    if target.against != BEST:
        return target.against, medians.get(target.against, {}).get(metric)
    peers = {name: values[metric] for name, values in medians.items() if metric in values}
    peers = {name: value for name, value in peers.items() if not name.startswith(PURE)}
    if not peers:
        return BEST, None
    best = max if metric in HIGHER_IS_BETTER else min
    name = best(peers, key=peers.__getitem__)
    return name, peers[name]
