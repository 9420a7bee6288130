"""What is asked of the servers: when requests arrive, and how long each computes and waits.

Arrivals are a Poisson process: many users who know nothing of each other. All lists come from a seed, so that the
simulation and a measurement can be given the very same requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import NamedTuple


class Distribution(Enum):
    """How service times differ from each other around their mean."""

    CONSTANT = "constant"
    EXPONENTIAL = "exponential"
    BIMODAL = "bimodal"


LONG_SHARE = 0.1  # bimodal: one request in ten is long,
LONG_FACTOR = 10.0  # ten times as long as the others
SHORT = 1 / (1 - LONG_SHARE + LONG_SHARE * LONG_FACTOR)  # of the others, so that the mean is 1


def _bimodal(random: Random) -> float:
    return SHORT * (LONG_FACTOR if random.random() < LONG_SHARE else 1.0)


FACTORS: dict[Distribution, Callable[[Random], float]] = {
    Distribution.CONSTANT: lambda _: 1.0,
    Distribution.EXPONENTIAL: lambda random: random.expovariate(1.0),
    Distribution.BIMODAL: _bimodal,
}
"""Each returns a factor whose mean is 1."""


class Request(NamedTuple):
    """All in seconds; `due` from the start of the run."""

    due: float
    computes: float
    waits: float


@dataclass(frozen=True, slots=True)
class Workload:
    """`rate` requests a second, of `service_seconds` each on average, of which `cpu_share` (0 to 1) is computed."""

    rate: float
    service_seconds: float
    cpu_share: float
    distribution: Distribution

    def requests(self, count: int, seed: int) -> list[Request]:
        """The first `count` requests. A long request computes and waits longer, both in proportion."""
        random = Random(seed)
        factor = FACTORS[self.distribution]
        found, due = [], 0.0
        for _ in range(count):
            due += random.expovariate(self.rate)
            seconds = self.service_seconds * factor(random)
            found.append(Request(due, seconds * self.cpu_share, seconds * (1 - self.cpu_share)))
        return found
