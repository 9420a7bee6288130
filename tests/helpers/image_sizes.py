"""What docs/running.md says of the sizes of the images, and how far they may be from it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.helpers.paths import REPOSITORY

TOLERANCE, LEAST = 0.2, 5.0  # of what an image adds to its base; MB


def documented() -> dict[str, float]:
    """By image, what it adds to its base, in MB."""
    text = (REPOSITORY / "docs/running.md").read_text()
    table = text.partition("<!-- make sizes -->")[2].partition("<!-- end of make sizes -->")[0]
    return {name: float(size) for name, size in re.findall(r"^\| `(\w+)` \|[^|]*\| (\d+) MB \|", table, re.MULTILINE)}


def strays(measured: Mapping[str, float], said: Mapping[str, float]) -> list[str]:
    """Those that are not as large as was said; both in MB."""
    return [
        f"{name}: {size:.0f} MB more than its base, and docs/running.md says {said.get(name, 0):.0f}"
        for name, size in measured.items()
        if abs(size - said.get(name, 0)) > max(TOLERANCE * said.get(name, 0), LEAST)
    ]
