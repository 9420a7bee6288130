"""How far the figure of a server may be from what more rounds would give, and when a bound lies within that.

Each round starts each server again, and the kernel places each process differently in memory: two starts of one server
differ by up to a tenth, more than two servers often do. A median says as much as its rounds agree.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from math import log, sqrt

LUCK = 0.1
"""What is assumed of a figure of one round, which has no range."""
LEAST_NOISE = 0.02
"""Of a ratio: a few rounds may agree by chance."""


FEW_ROUNDS = 3
"""Up to so many rounds, their range is all there is. With more, one in which the machine paused does not count."""
QUARTILES = 2.3
"""Two standard errors of a median, from the distance of the quartiles divided by the root of the number of rounds."""


def spread(values: Sequence[float]) -> float:
    """About two standard errors of the median, relative to it. `LUCK` for a single round, 0 for a median of 0."""
    median = statistics.median(values)
    if not median:
        return 0.0
    if len(values) == 1:
        return LUCK
    if len(values) <= FEW_ROUNDS:
        distance = max(values) - min(values)
    else:
        first, _, third = statistics.quantiles(values, n=4, method="inclusive")
        distance = QUARTILES * (third - first)
    return distance / median / sqrt(len(values))


def spread_of_ratio(ratios: Sequence[float]) -> float:
    """The spread of the ratios of two servers, one for each round."""
    return max(LEAST_NOISE, spread(ratios) if len(ratios) > 1 else LUCK * sqrt(2))


def is_within_noise(value: float, bound: float, noise: float) -> bool:
    """Whether the value could as well lie on the other side of the bound."""
    if value <= 0 or bound <= 0:
        return False
    return abs(log(value / bound)) < log(1 + noise)
