"""The results of a run, as they are written to results.json: medians, extremes and verdicts, without the samples."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import TypedDict

from bench.measure import Sample
from bench.scenarios import Scenario
from bench.spread import spread
from bench.targets import Rounds, Target, judge, ratio_by_cpu_time


class TargetResult(TypedDict):
    """A target in words, and whether it is met. `by_cpu_time`: the same ratio of requests per second of CPU time."""

    build: str
    target: str
    metric: str
    is_ratio: bool
    against: str
    value: float | None
    noise: float
    mark: str
    by_cpu_time: float | None


class ScenarioResult(TypedDict):
    """`medians`, `least`, `most` and `spreads` are by server and metric; `errors` has the servers that failed once."""

    name: str
    title: str
    kind: str
    medians: dict[str, Sample]
    least: dict[str, Sample]
    most: dict[str, Sample]
    spreads: dict[str, Sample]  # relative, see spread.py
    rounds: int
    errors: dict[str, str]
    left_out: dict[str, str]  # by server, why it cannot do this
    targets: list[TargetResult]


class Results(TypedDict):
    """One run."""

    machine: dict[str, str]
    versions: dict[str, str]
    missing: dict[str, str]
    threads: int
    connections: int
    rounds: list[int]  # of the scenario with the fewest and with the most
    seconds: float
    scenarios: list[ScenarioResult]


def summarize(scenario: Scenario, samples: dict[str, list[Sample]], errors: dict[str, str]) -> ScenarioResult:
    """Summarize the samples by server. A server that failed in any round is left out."""
    samples = {name: found for name, found in samples.items() if found and name not in errors}
    medians = {name: _summary(found, statistics.median) for name, found in samples.items()}
    for name, found in samples.items():
        if "failures" in found[0]:
            medians[name]["failures"] = sum(one["failures"] for one in found)  # a median would hide them
    spreads = {name: _summary(found, spread) for name, found in samples.items()}
    return {
        "name": scenario.name,
        "title": scenario.title,
        "kind": scenario.kind.value,
        "medians": medians,
        "least": {name: _summary(found, min) for name, found in samples.items()},
        "most": {name: _summary(found, max) for name, found in samples.items()},
        "spreads": spreads,
        "rounds": max((len(found) for found in samples.values()), default=0),
        "errors": errors,
        "left_out": dict(scenario.left_out),
        "targets": [_target_result(target, samples) for target in scenario.targets],
    }


def _summary(samples: list[Sample], function: Callable[[list[float]], float]) -> Sample:
    return {metric: function([one[metric] for one in samples]) for metric in samples[0]}


def _target_result(target: Target, rounds: Rounds) -> TargetResult:
    verdict = judge(target, rounds)
    return {
        "build": target.server,
        "target": str(target),
        "metric": target.metric,
        "is_ratio": bool(target.against),
        "against": verdict.against,
        "value": verdict.value,
        "noise": verdict.noise,
        "mark": verdict.mark.value,
        "by_cpu_time": ratio_by_cpu_time(target, verdict.against, rounds),
    }
