"""Interleaved rounds: each server once, then each again; and what comes of them, as plain values for JSON."""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from bench.backends import missing
from bench.measure import Sample, Terms, installed, sample
from bench.running import StartError
from bench.scenarios import Scenario
from bench.targets import judge
from bench.wrk import LoadError

Result = dict[str, Any]


def say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def measure(scenario: Scenario, run: Terms, rounds: int, deadline: float) -> Result:
    """Measure one scenario: at least one round, and no further one begins past `deadline` (monotonic)."""
    without = missing()
    backends = installed(scenario.backends, without)
    samples: dict[str, list[Sample]] = {}
    faults = {name: without[name] for name in scenario.backends if name in without}
    say(f"{scenario.title}: ")
    for number in range(rounds):
        if number and time.monotonic() > deadline:
            break
        turn = number % len(backends)
        for backend in backends[turn:] + backends[:turn]:  # nobody is always behind the same neighbour
            if backend.name in faults:
                continue
            try:
                samples.setdefault(backend.name, []).append(sample(scenario, backend, run))
                say(".")
            except (StartError, LoadError) as error:
                faults[backend.name] = str(error)
                say("!")
    say("\n")
    return result(scenario, samples, faults)


def result(scenario: Scenario, samples: dict[str, list[Sample]], faults: dict[str, str]) -> Result:
    """Medians, least and most of each metric, and the verdicts. A fault in any round leaves a server out."""
    samples = {name: found for name, found in samples.items() if found and name not in faults}
    medians = {name: summary(found, statistics.median) for name, found in samples.items()}
    for name, found in samples.items():
        if "failures" in found[0]:
            medians[name]["failures"] = sum(one["failures"] for one in found)  # a median would hide them
    verdicts = []
    for target in scenario.targets:
        verdict = judge(target, medians)
        told = {"target": str(target), "against": verdict.against, "value": verdict.value, "mark": verdict.mark.value}
        verdicts.append(told | {"metric": target.metric, "is_ratio": bool(target.against)})
        if target.metric == "rate" and target.against and not target.of_metric:
            mine = medians.get(target.who, {}).get("rate_cpu")
            other = medians.get(verdict.against, {}).get("rate_cpu")
            verdicts[-1]["of_cpu"] = mine / other if mine and other else None
    return {
        "name": scenario.name,
        "title": scenario.title,
        "kind": scenario.kind.value,
        "medians": medians,
        "least": {name: summary(found, min) for name, found in samples.items()},
        "most": {name: summary(found, max) for name, found in samples.items()},
        "rounds": max((len(found) for found in samples.values()), default=0),
        "faults": faults,
        "verdicts": verdicts,
    }


def summary(samples: list[Sample], of: Any) -> Sample:
    return {metric: of([one[metric] for one in samples]) for metric in samples[0]}
