"""deploy/kit/units.py: durations and sizes for people."""

import pytest

from kit import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0004, "0.4 ms"),
        (0.0065, "6.5 ms"),
        (0.047, "47 ms"),
        (1.8, "1.80 s"),
        (42.26, "42.3 s"),
        (600, "10 min"),
        (7200, "2 h"),
        (86400 * 30, "30 days"),
    ],
)
def test_durations(seconds, text):
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("octets", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (20_000_000, "20 MB"), (3.2e9, "3.2 GB"), (5e12, "5000 GB")],
)
def test_sizes(octets, text):
    assert units.size(octets) == text
