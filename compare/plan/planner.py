"""The smallest fleet that keeps the p99: first the machines, then their workers, then the threads of each.

Each candidate is simulated with requests from the same seed, so that they differ in little else. One machine is
simulated, with its part of the rate. Of a large one it is some of the workers, with their part of the processors:
that shows the same times in less time. So does a shorter scale for long requests: of 60 s, thousands of turns for the
interpreter each take hours to simulate, and hundreds do as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from plan.inputs import Question
from plan.simulation import Host, Prediction, percentile, simulate
from plan.worker import Costs

SEED = 1
SEARCH_REQUESTS = 2_000
PROOF_REQUESTS = 12_000
WARM_UP = 0.1  # of the requests, which find the servers emptier than they will be;
TURNOVERS = 4  # but at least four times the requests that are in flight: then nine in ten of what was empty is full
MOST_WORKERS = 16  # that are simulated,
MOST_IN_FLIGHT = 500  # or, where requests wait long, as many as have so many requests in flight
LONGEST = 0.2  # seconds: a longer service time is simulated as this one, and all else in proportion
GROWTH = 0.1  # a fleet that fails the proof gets a tenth more machines: fewer would take minutes to try
USUAL_USE = 0.65  # of the processors, where queues are short
THREADS = (4, 8, 16, 32, 64, 128, 256)
FULLEST = 0.97  # of the processors or threads: above it, queues grow for minutes
EMPTIEST = 0.02  # more machines than this makes do not help

NOT_EVEN_IDLE = (
    "no number of machines: also nearly idle ones take longer, because requests that compute share an interpreter. "
    "Let requests compute less, or allow a longer P99."
)


class ImpossibleError(Exception):
    """No fleet keeps that p99. The text is a line for the user."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """`machines` alike, each with `cores` processors and `workers` processes of `threads` threads."""

    machines: int
    cores: int
    workers: int
    threads: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`fuller`: much fewer machines, used as much as is usual, and their p99 in seconds."""

    fleet: Fleet
    prediction: Prediction
    fuller: tuple[int, float] | None = None


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
        growth = GROWTH
        while True:
            prediction = self._simulate(fleet, self._proof_requests)
            if prediction.percentile(0.99) <= self._question.p99:
                return Plan(fleet, prediction, self._fuller(fleet))
            fleet = self._larger(fleet, prediction, growth)
            growth *= 2

    def _larger(self, fleet: Fleet, prediction: Prediction, growth: float) -> Fleet:
        """The longer simulation saw longer times: more of what there is least of. Raises `ImpossibleError`."""
        if prediction.threads > max(prediction.interpreter, prediction.cores) and fleet.threads < THREADS[-1]:
            return replace(fleet, threads=THREADS[THREADS.index(fleet.threads) + 1])
        if fleet.workers < fleet.cores:
            return replace(fleet, workers=fleet.workers + 1)
        if fleet.machines >= self._most_machines:
            raise ImpossibleError(NOT_EVEN_IDLE)
        return replace(fleet, machines=min(self._most_machines, ceil(fleet.machines * (1 + growth))))

    def _fuller(self, fleet: Fleet) -> tuple[int, float] | None:
        """For a fleet that is nearly idle, because of its p99: what the p99 costs."""
        machines = ceil(self._busy_cores / fleet.cores / USUAL_USE)
        if not 0 < machines <= fleet.machines * USUAL_USE:
            return None
        usual = Fleet(machines, fleet.cores, fleet.cores, THREADS[-1])
        return machines, self._simulate(usual, self._search_requests).percentile(0.99)

    @property
    def _busy_cores(self) -> float:
        """Processors that are always in use, over all machines."""
        workload, costs = self._question.workload, self._costs
        return workload.rate * (workload.service_seconds * workload.cpu_share + costs.server + costs.nginx)

    @property
    def _in_flight(self) -> float:
        """Requests in the application at a time, on average over time and in all machines (Little's law)."""
        return self._question.workload.rate * self._question.workload.service_seconds

    @property
    def _full_machines(self) -> float:
        """So many would be used without a pause: their processors, or all threads that they may have."""
        return max(self._busy_cores, self._in_flight / THREADS[-1]) / self._question.cores

    @property
    def _most_machines(self) -> int:
        return ceil(max(self._full_machines / EMPTIEST, self._full_machines / FULLEST, 1))

    def _raise_if_impossible(self) -> None:
        workload, costs = self._question.workload, self._costs
        requests = workload.requests(PROOF_REQUESTS, SEED)
        alone = percentile([request.computes + request.waits for request in requests], 0.99)
        alone += costs.server + costs.nginx + costs.transport
        if alone > self._question.p99:
            raise ImpossibleError(
                f"no number of machines: one request in a hundred takes {readable(alone)} or longer by itself. "
                "Make the long ones shorter, or do their work in a background job."
            )

    def _fewest_machines(self) -> int:
        cores = self._question.cores
        low = max(1, ceil(self._full_machines / FULLEST))
        most = self._most_machines

        def fleet(machines: int) -> Fleet:
            return Fleet(machines, cores, cores, THREADS[-1])

        step = 1
        high = low
        while not self._keeps(fleet(high)):
            if high == most:
                raise ImpossibleError(NOT_EVEN_IDLE)
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
        least = max(1, min(cores, ceil(self._full_machines * cores / FULLEST)))
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
        in_flight = self._in_flight / fleet.machines / fleet.workers  # in each worker
        workers = min(fleet.workers, MOST_WORKERS, ceil(MOST_IN_FLIGHT / in_flight))
        share = workers / fleet.workers
        warm_up = ceil(max(count * WARM_UP, TURNOVERS * in_flight * workers))
        asked, costs = self._question.workload, self._costs
        scale = max(1.0, asked.service_seconds / LONGEST)
        rate = asked.rate / fleet.machines * share * scale
        workload = replace(asked, rate=rate, service_seconds=asked.service_seconds / scale)
        requests = workload.requests(max(count, 2 * warm_up), SEED)
        scaled = {name: getattr(costs, name) / scale for name in ("server", "nginx", "transport", "oversleep")}
        host = Host(max(1, round(fleet.cores * share)), workers, fleet.threads)
        found = simulate(host, requests, replace(costs, **scaled), seed=SEED, warm_up=warm_up)
        return replace(found, times=[seconds * scale for seconds in found.times])


def readable(seconds: float) -> str:
    """Three digits of it or four: more would claim too much."""
    value = seconds * 1e3
    if value >= 10_000:
        return f"{seconds:.3g} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"
