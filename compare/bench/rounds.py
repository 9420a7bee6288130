"""Interleaved rounds: each round measures every scenario once with every server.

The samples are saved after each scenario of each round, so an interruption loses at most one scenario of one round, and
`--resume` continues from there. A round starts only if the time is likely to suffice for all of it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from bench.console import progress
from bench.loads.wrk import LoadError
from bench.measure import Sample, Settings, measure
from bench.results import ScenarioResult, summarize
from bench.scenarios import Scenario
from bench.server_process import StartError
from bench.servers import SERVERS, missing_servers


class SampleStore:
    """The samples of a run, and the file that holds them. `about` identifies the run: `resume` refuses any other."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path = path
        self.about = about
        self.samples: dict[str, dict[str, list[Sample]]] = {}  # by scenario and server
        self.errors: dict[str, dict[str, str]] = {}  # by scenario and server
        self.rounds: dict[str, int] = {}  # by scenario, how many are complete
        self._has_warned = False

    def resume(self) -> str:
        """Load the file; return why it cannot be used, or an empty string."""
        try:
            stored = json.loads(self.path.read_text())
        except (OSError, ValueError) as error:
            return f"{self.path}: {error}"
        if stored["about"] != self.about:
            return f"{self.path} is from another run: {stored['about']}"
        self.samples, self.errors, self.rounds = stored["samples"], stored["errors"], stored["rounds"]
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
        stored = {"about": self.about, "samples": self.samples, "errors": self.errors, "rounds": self.rounds}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(stored, indent=1))
        new.replace(self.path)

    def results(self, scenarios: list[Scenario]) -> list[ScenarioResult]:
        """The results of the scenarios with at least one complete round."""
        done = [scenario for scenario in scenarios if self.rounds.get(scenario.name)]
        return [summarize(one, self.samples[one.name], self.errors[one.name]) for one in done]


def measure_rounds(
    scenarios: list[Scenario], settings: Settings, rounds: int, budget: float, store: SampleStore
) -> None:
    """Measure up to `rounds` rounds, but start only rounds that will likely fit into `budget` seconds.

    The first round always starts. Ctrl-C ends the run and keeps what was measured.
    """
    began = time.monotonic()
    took = 0.0
    try:
        for number in range(rounds):
            round_began = time.monotonic()
            if number and round_began - began + took > budget:
                progress(f"bench: no time left for round {number + 1}\n")
                return
            for scenario in scenarios:
                if store.rounds.get(scenario.name, 0) <= number:
                    progress(f"round {number + 1}, {scenario.title}: ")
                    measure_round(scenario, settings, number, store)
                    store.save()
            took = time.monotonic() - round_began
    except KeyboardInterrupt:
        progress("\nbench: interrupted; --resume continues\n")


def measure_round(scenario: Scenario, settings: Settings, number: int, store: SampleStore) -> None:
    """Measure one scenario once with each of its servers; one that fails is not measured again."""
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
            found = measure(scenario, server, settings)
        except (StartError, LoadError) as error:
            errors[server.name] = str(error)
            progress("!")
        else:
            samples.setdefault(server.name, []).append(found)
            progress(".")
    store.rounds[scenario.name] = number + 1
    progress("\n")
