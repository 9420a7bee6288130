"""Interleaved rounds: each round measures every scenario once with every server, in a new process.

The samples are saved after each scenario of each round, so an interruption loses at most one scenario of one round, and
`--resume` continues from there. The first round is always whole, so that each scenario has its row. After it a scenario
is measured again only if the time suffices. After two rounds of all, the important ones are measured up to the fifth,
then the others: with little time the important ones have more rounds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.console import progress
from bench.loads.wrk import LoadError
from bench.measure import Sample, Settings, measure
from bench.results import ScenarioResult, summarize
from bench.scenarios import Scenario
from bench.server_process import StartError, WrongResponseError
from bench.servers import SERVERS, Server, missing_servers

OF_ALL = 2  # rounds, of all scenarios, before
OF_IMPORTANT = 5  # rounds of the important ones


@dataclass(slots=True)
class Plan:
    """How long the loads and the whole run take."""

    seconds: float  # of each load
    minutes: float  # of the run, after which no scenario starts, except in the first round
    used: float = 0.0  # seconds of the run that earlier parts of it took


class SampleStore:
    """The samples of a run, and the file that holds them. `about` identifies the run: `resume` refuses any other."""

    def __init__(self, path: Path, about: dict[str, str], plan: Plan) -> None:
        self.path = path
        self.about = about
        self.plan = plan
        self.samples: dict[str, dict[str, list[Sample]]] = {}  # by scenario and server
        self.errors: dict[str, dict[str, str]] = {}  # by scenario and server
        self.rounds: dict[str, int] = {}  # by scenario, how many are complete
        self.took: dict[str, float] = {}  # by scenario, seconds of the longest round
        self._has_warned = False

    def resume(self) -> str:
        """Load the file, and its plan; return why it cannot be used, or an empty string."""
        try:
            stored = json.loads(self.path.read_text())
        except (OSError, ValueError) as error:
            return f"{self.path}: {error}"
        names = [
            name for name in {**stored["about"], **self.about} if stored["about"].get(name) != self.about.get(name)
        ]
        if names:
            differences = [f"{name} {stored['about'].get(name)!r}, here {self.about.get(name)!r}" for name in names]
            return f"{self.path} is from another run: {'; '.join(differences)}"
        self.samples, self.errors, self.rounds = stored["samples"], stored["errors"], stored["rounds"]
        self.took, self.plan = stored["took"], Plan(**stored["plan"])
        return ""

    def save(self) -> None:
        """Write the file. If that fails, warn once and go on: only `--resume` is lost."""
        try:
            self._write()
        except OSError as error:
            if not self._has_warned:
                progress(f"bench: cannot write {self.path}: {error.strerror}; --resume will not work\n")
            self._has_warned = True

    def _write(self) -> None:
        stored = {"about": self.about, "plan": asdict(self.plan), "took": self.took}
        stored |= {"samples": self.samples, "errors": self.errors, "rounds": self.rounds}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(stored, indent=1))
        new.replace(self.path)

    def results(self, scenarios: list[Scenario]) -> list[ScenarioResult]:
        """The results of the scenarios with at least one complete round."""
        done = [scenario for scenario in scenarios if self.rounds.get(scenario.name)]
        return [summarize(one, self.samples[one.name], self.errors[one.name]) for one in done]


def measure_rounds(scenarios: list[Scenario], settings: Settings, rounds: int, store: SampleStore) -> None:
    """Measure up to `rounds` rounds within the time of the store's plan.

    Ctrl-C ends the run and keeps what was measured.
    """
    began = time.monotonic() - store.plan.used
    budget = store.plan.minutes * 60
    try:
        for number, scenario in schedule(scenarios, rounds):
            if store.rounds.get(scenario.name, 0) != number:
                continue  # measured before the run was interrupted, or without time for the round before
            scenario_began = time.monotonic()
            if number and scenario_began - began + store.took.get(scenario.name, 0.0) > budget:
                continue
            progress(f"round {number + 1}, {scenario.title}: ")
            measure_round(scenario, settings, number, store)
            now = time.monotonic()
            store.took[scenario.name] = max(store.took.get(scenario.name, 0.0), now - scenario_began)
            store.plan.used = now - began
            store.save()
    except KeyboardInterrupt:
        progress("\nbench: interrupted; --resume continues\n")


def schedule(scenarios: list[Scenario], rounds: int) -> Iterator[tuple[int, Scenario]]:
    """The number of the round, from 0, and the scenario, in the order in which they are measured."""
    important = [scenario for scenario in scenarios if scenario.is_important]
    others = [scenario for scenario in scenarios if not scenario.is_important]
    parts = [(range(OF_ALL), scenarios), (range(OF_ALL, OF_IMPORTANT), important)]
    parts += [(range(OF_ALL, OF_IMPORTANT), others), (range(OF_IMPORTANT, rounds), scenarios)]
    for numbers, part in parts:
        for number in numbers:
            if number < rounds:
                yield from ((number, scenario) for scenario in part)


def measure_round(scenario: Scenario, settings: Settings, number: int, store: SampleStore) -> None:
    """Measure one scenario once with each of its servers; one that fails is not measured in other rounds."""
    missing = missing_servers()
    samples = store.samples.setdefault(scenario.name, {})
    errors = store.errors.setdefault(
        scenario.name, {name: missing[name] for name in scenario.servers if name in missing}
    )
    servers = [SERVERS[name] for name in scenario.servers if name not in missing]
    first = number % len(servers) if servers else 0
    for server in servers[first:] + servers[:first]:  # each round starts with another one, to vary the neighbours
        if server.name in errors:
            continue
        try:
            found = _measure_twice_at_most(scenario, server, settings)
        except (StartError, LoadError) as error:
            errors[server.name] = str(error)
            progress("!")
        else:
            samples.setdefault(server.name, []).append(found)
            progress(".")
    store.rounds[scenario.name] = number + 1
    progress("\n")


def _measure_twice_at_most(scenario: Scenario, server: Server, settings: Settings) -> Sample:
    """Once more if there was no response, since a pause of the machine would end the server's part in the run."""
    try:
        return measure(scenario, server, settings)
    except WrongResponseError:
        raise
    except (StartError, LoadError):
        return measure(scenario, server, settings)
