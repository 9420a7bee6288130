"""Interleaved rounds: every scenario with every server once, then all of them again; and what comes of them.

What was measured is kept in a file after each scenario of each round, so that an interruption loses one scenario of one
round, and `--resume` goes on from there. A round is only begun when the time is likely to do for all of it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
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


class Kept:
    """The samples of a run, and the file that they are kept in. `about` is what two parts of a run must agree in."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path = path
        self.about = about
        self.samples: dict[str, dict[str, list[Sample]]] = {}  # by scenario and server
        self.faults: dict[str, dict[str, str]] = {}  # the same way
        self.rounds: dict[str, int] = {}  # by scenario: so many are done
        self._is_lost = False  # they could not be kept, which was said

    def resume(self) -> str:
        """Take what is in the file; return why that cannot be, or nothing."""
        try:
            kept = json.loads(self.path.read_text())
        except (OSError, ValueError) as error:
            return f"{self.path}: {error}"
        if kept["about"] != self.about:
            return f"{self.path} is of another run: {kept['about']}"
        self.samples, self.faults, self.rounds = kept["samples"], kept["faults"], kept["rounds"]
        return ""

    def save(self) -> None:
        """Where nothing can be written, say so once and go on: only `--resume` is lost."""
        try:
            self._write()
        except OSError as error:
            if not self._is_lost:
                say(f"bench: {self.path}: {error.strerror}: --resume will find nothing\n")
            self._is_lost = True

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(
            json.dumps(
                {"about": self.about, "samples": self.samples, "faults": self.faults, "rounds": self.rounds}, indent=1
            )
        )
        new.replace(self.path)

    def results(self, scenarios: list[Scenario]) -> list[Result]:
        """Of the scenarios that had a round."""
        done = [scenario for scenario in scenarios if self.rounds.get(scenario.name)]
        return [result(one, self.samples[one.name], self.faults[one.name]) for one in done]


def measure(scenarios: list[Scenario], run: Terms, rounds: int, budget: float, kept: Kept) -> None:
    """Measure every scenario in up to `rounds` rounds; past the first, only while `budget` (seconds) is likely to do.

    Ends early, with what there is, at Ctrl-C.
    """
    began = time.monotonic()
    took = 0.0
    try:
        for number in range(rounds):
            round_began = time.monotonic()
            if number and round_began - began + took > budget:
                say(f"bench: no time for round {number + 1}\n")
                return
            for scenario in scenarios:
                if kept.rounds.get(scenario.name, 0) <= number:
                    say(f"round {number + 1}, {scenario.title}: ")
                    measure_round(scenario, run, number, kept)
                    kept.save()
            took = time.monotonic() - round_began
    except KeyboardInterrupt:
        say("\nbench: interrupted; --resume goes on\n")


def measure_round(scenario: Scenario, run: Terms, number: int, kept: Kept) -> None:
    """Measure one scenario once with each of its servers."""
    without = missing()
    samples = kept.samples.setdefault(scenario.name, {})
    faults = kept.faults.setdefault(
        scenario.name, {name: without[name] for name in scenario.backends if name in without}
    )
    backends = installed(scenario.backends, without)
    turn = number % len(backends) if backends else 0
    for backend in backends[turn:] + backends[:turn]:  # nobody is always behind the same neighbour
        if backend.name in faults:
            continue
        try:
            found = sample(scenario, backend, run)
        except (StartError, LoadError) as error:
            faults[backend.name] = str(error)
            say("!")
        else:
            samples.setdefault(backend.name, []).append(found)
            say(".")
    kept.rounds[scenario.name] = number + 1
    say("\n")


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
