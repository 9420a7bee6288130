"""When a target is met."""

from __future__ import annotations

import pytest

from bench.targets import BEST, Mark, Target, judge

MEDIANS = {
    "ropewalk": {"rate": 900.0, "rate_baseline": 1000.0, "p99": 0.002, "failures": 0.0},
    "granian": {"rate": 1000.0, "p99": 0.001},
    "bjoern": {"rate": 600.0, "p99": 0.004},
    "ropewalk-before": {"rate": 5000.0, "p99": 0.0001},
}


@pytest.mark.parametrize(
    ("target", "value", "mark"),
    [
        (Target("rate", 0.9, "granian"), 0.9, Mark.MET),
        (Target("rate", 0.91, "granian"), 0.9, Mark.MISSED),
        (Target("rate", 1.5, "bjoern"), 1.5, Mark.MET),
        (Target("p99", 1, "granian"), 2.0, Mark.MISSED),
        (Target("p99", 1, "bjoern"), 0.5, Mark.MET),
        (Target("rate", 0.9, "ropewalk", of_metric="rate_baseline"), 0.9, Mark.MET),
        (Target("failures", 0), 0.0, Mark.MET),
        (Target("p99", 0.001), 0.002, Mark.MISSED),
        (Target("rate", 1, "waitress"), None, Mark.UNKNOWN),
        (Target("start", 1), None, Mark.UNKNOWN),
    ],
)
def test_a_target_is_met_at_its_bound(target: Target, value: float | None, mark: Mark) -> None:
    verdict = judge(target, MEDIANS)
    assert verdict.mark is mark
    assert verdict.value == (None if value is None else pytest.approx(value))


def test_the_best_peer_is_another_server_and_the_best_of_the_metric() -> None:
    assert judge(Target("rate", 1, BEST), MEDIANS).against == "granian"
    assert judge(Target("p99", 1, BEST), MEDIANS).against == "granian"
    assert judge(Target("rate", 1, BEST), {"ropewalk": {"rate": 1.0}}).mark is Mark.UNKNOWN


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (Target("rate", 8, "gunicorn-gthread"), "requests/s at least 8 × gunicorn-gthread"),
        (Target("p99", 1.3, "bjoern"), "p99 at most 1.3 × bjoern"),
        (Target("rate", 0.9, "ropewalk", of_metric="rate_baseline"), "requests/s at least 0.9 × its own baseline"),
        (Target("start", 0.150), "start at most 150 ms"),
        (Target("memory", 20e6), "memory at most 20.0 MB"),
        (Target("connection_memory", 6144), "memory per connection at most 6.0 KiB"),
    ],
)
def test_a_target_in_words(target: Target, text: str) -> None:
    assert str(target) == text
