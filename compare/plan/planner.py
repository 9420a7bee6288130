"""The smallest fleet that keeps the p99: first the machines, then their workers, then the threads of each.

Each candidate is simulated with the same requests, so that they differ in nothing else. Machines get their requests at
random, so they do not depend on each other: `SAMPLE` of them, with their part of the rate, show the times of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from plan.inputs import Question
from plan.simulation import Fleet, Prediction, percentile, simulate
from plan.worker import Costs
from plan.workload import Request

SAMPLE = 4
SEED = 1
SEARCH_REQUESTS = 2_000
PROOF_REQUESTS = 12_000
WARM_UP = 0.1  # of the requests, which find the servers emptier than they will be
GROWTH = 10  # a fleet that fails the proof gets a tenth more machines: fewer would take minutes to try
THREADS = (4, 8, 16, 32, 64, 128, 256)
FULLEST = 0.97  # of the processors: above it, queues grow for minutes
EMPTIEST = 0.02  # more machines than this makes do not help


class ImpossibleError(Exception):
    """No fleet keeps that p99. The text is a line for the user."""


@dataclass(frozen=True, slots=True)
class Plan:
    fleet: Fleet
    prediction: Prediction


class Planner:
    """`progress(fleet)` is called before each simulation."""

    def __init__(
        self,
        question: Question,
        costs: Costs,
        progress: Callable[[Fleet], None] = lambda _: None,
        *,
        search_requests: int = SEARCH_REQUESTS,
        proof_requests: int = PROOF_REQUESTS,
    ) -> None:
        self._question = question
        self._costs = costs
        self._progress = progress
        self._search_requests = search_requests
        self._proof_requests = proof_requests

    def plan(self) -> Plan:
        """Raises `ImpossibleError`."""
        self._raise_if_impossible()
        cores = self._question.cores
        machines = self._fewest_machines()
        fleet = Fleet(machines, cores, self._fewest_workers(machines), THREADS[-1])
        fleet = replace(fleet, threads=self._least(THREADS, lambda threads: replace(fleet, threads=threads)))
        while True:
            prediction = self._simulate(fleet, self._proof_requests)
            if prediction.percentile(0.99) <= self._question.p99:
                return Plan(fleet, prediction)
            fleet = self._larger(fleet, prediction)

    def _larger(self, fleet: Fleet, prediction: Prediction) -> Fleet:
        """The longer simulation saw longer times: a little more of what there is least of."""
        if prediction.threads > max(prediction.interpreter, prediction.cores) and fleet.threads < THREADS[-1]:
            return replace(fleet, threads=THREADS[THREADS.index(fleet.threads) + 1])
        if fleet.workers < fleet.cores:
            return replace(fleet, workers=fleet.workers + 1)
        return replace(fleet, machines=fleet.machines + max(1, fleet.machines // GROWTH))

    @property
    def _busy_cores(self) -> float:
        """Processors that are always in use, over all machines."""
        workload, costs = self._question.workload, self._costs
        return workload.rate * (workload.service_seconds * workload.cpu_share + costs.server + costs.nginx)

    def _raise_if_impossible(self) -> None:
        workload, costs = self._question.workload, self._costs
        requests = workload.requests(PROOF_REQUESTS, SEED)
        alone = percentile([request.computes + request.waits for request in requests], 0.99)
        alone += costs.server + costs.nginx + costs.transport
        if alone > self._question.p99:
            raise ImpossibleError(
                f"no number of machines: one request in a hundred takes {milliseconds(alone)} or longer by itself. "
                "Make the long ones shorter, or do their work in a background job."
            )

    def _fewest_machines(self) -> int:
        cores = self._question.cores
        low = max(1, ceil(self._busy_cores / cores / FULLEST))
        most = max(low, ceil(self._busy_cores / cores / EMPTIEST))

        def fleet(machines: int) -> Fleet:
            return Fleet(machines, cores, cores, THREADS[-1])

        step = 1
        high = low
        while not self._keeps(fleet(high)):
            if high == most:
                raise ImpossibleError(
                    "no number of machines: also nearly idle ones take longer, because requests that compute share "
                    "an interpreter. Let requests compute less, or allow a longer P99."
                )
            low, high = high + 1, min(most, high + step)
            step *= 2
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._keeps(fleet(middle)) else (middle + 1, high)
        return high

    def _fewest_workers(self, machines: int) -> int:
        """Of a machine of its own, as few as will do; of several machines, one for each core."""
        cores = self._question.cores
        if machines > 1:
            return cores
        least = max(1, min(cores, ceil(self._busy_cores / FULLEST)))
        return self._least(range(least, cores + 1), lambda workers: Fleet(1, cores, workers, THREADS[-1]))

    def _least(self, choices: range | tuple[int, ...], fleet: Callable[[int], Fleet]) -> int:
        """The first of the ascending `choices` that keeps the p99; the last one is known to."""
        low, high = 0, len(choices) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._keeps(fleet(choices[middle])) else (middle + 1, high)
        return choices[high]

    def _keeps(self, fleet: Fleet) -> bool:
        return self._simulate(fleet, self._search_requests).percentile(0.99) <= self._question.p99

    def _simulate(self, fleet: Fleet, count: int) -> Prediction:
        self._progress(fleet)
        sample = min(fleet.machines, SAMPLE)
        rate = self._question.workload.rate * sample / fleet.machines
        requests: list[Request] = replace(self._question.workload, rate=rate).requests(count, SEED)
        part = replace(fleet, machines=sample)
        return simulate(part, requests, self._costs, seed=SEED, warm_up=int(count * WARM_UP))


def milliseconds(seconds: float) -> str:
    """Three digits of it at most: more would claim too much."""
    value = seconds * 1e3
    return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"
