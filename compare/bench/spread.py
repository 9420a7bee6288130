"""How far the figure of a server may be from what more rounds would give, and when a bound lies within that.

Each round starts each server again, and the kernel places each process differently in memory: two starts of one server
differ by up to a tenth, more than two servers often do. A median says as much as its rounds agree.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from math import hypot, log, sqrt

LUCK = 0.1
"""What is assumed of a figure of one round, which has no range."""
LEAST_NOISE = 0.02
"""Of a ratio: a few rounds may agree by chance."""


def spread(values: Sequence[float]) -> float:
    """The range of the rounds, relative to their median and divided by the root of their number.

    For 3 to 10 rounds this is about two standard errors of the median. `LUCK` for a single round, 0 for a median of 0.
    """
    median = statistics.median(values)
    if not median:
        return 0.0
    return (max(values) - min(values)) / median / sqrt(len(values)) if len(values) > 1 else LUCK


def noise_of_ratio(mine: float, other: float) -> float:
    """The spread of a ratio from those of its two figures."""
    return max(LEAST_NOISE, hypot(mine, other))


def is_within_noise(value: float, bound: float, noise: float) -> bool:
    """Whether the value could as well lie on the other side of the bound."""
    if value <= 0 or bound <= 0:
        return False
    return abs(log(value / bound)) < log(1 + noise)
