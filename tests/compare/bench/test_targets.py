"""When a target is met."""

from __future__ import annotations

import pytest

from bench.aims import AIMS
from bench.scenarios import SCENARIOS
from bench.spread import LEAST_NOISE, LUCK, is_within_noise, spread
from bench.targets import BEST, COMPILED, HIGHER_IS_BETTER, PURE, Mark, Target, judge, ratio_by_cpu_time

# Three rounds that agree but for the third, in which the machine was half as fast
ROUNDS = {
    "ropewalk": [
        {"rate": 900.0 * speed, "rate_cpu": 1000.0 * speed, "rate_baseline": 1000.0 * speed, "p99": 0.002 / speed}
        | {"failures": 0.0, "start": 0.002}
        for speed in (1, 1, 0.5)
    ],
    "granian": [{"rate": 1000.0 * speed, "rate_cpu": 2000.0 * speed, "p99": 0.001 / speed} for speed in (1, 1, 0.5)],
    "bjoern": [{"rate": 600.0 * speed, "rate_cpu": 600.0, "p99": 0.004 / speed} for speed in (1, 1, 0.5)],
    "ropewalk-before": [{"rate": 5000.0, "p99": 0.0001}] * 3,
}


@pytest.mark.parametrize(
    ("target", "value", "mark"),
    [
        (Target("rate", 0.88, "granian"), 0.9, Mark.MET),
        (Target("rate", 0.92, "granian"), 0.9, Mark.MISSED),
        (Target("rate", 1.5, "bjoern"), 1.5, Mark.NOISE),
        (Target("p99", 1, "granian"), 2.0, Mark.MISSED),
        (Target("p99", 1, "bjoern"), 0.5, Mark.MET),
        (Target("rate", 0.8, "ropewalk", of_metric="rate_baseline"), 0.9, Mark.MET),
        (Target("failures", 0), 0.0, Mark.MET),
        (Target("start", 0.001), 0.002, Mark.MISSED),
        (Target("rate", 1, "waitress"), None, Mark.UNKNOWN),
        (Target("memory", 1), None, Mark.UNKNOWN),
    ],
)
def test_a_target_is_met_at_its_bound(target: Target, value: float | None, mark: Mark) -> None:
    verdict = judge(target, ROUNDS)
    assert verdict.mark is mark
    assert verdict.value == (None if value is None else pytest.approx(value))


def test_the_best_peer_is_another_server_and_the_best_of_the_metric() -> None:
    assert judge(Target("rate", 1, BEST), ROUNDS).against == "granian"
    assert judge(Target("p99", 1, BEST), ROUNDS).against == "granian"
    builds = {"ropewalk": [{"rate": 1.0}], "ropewalk-compiled": [{"rate": 2.0}]}
    assert judge(Target("rate", 1, BEST), builds).mark is Mark.UNKNOWN


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


def test_a_bound_within_the_spread_of_the_rounds_is_neither_met_nor_missed() -> None:
    rounds = {
        "ropewalk": [{"rate": rate, "failures": 0.0} for rate in (88.0, 90.0, 96.0)],
        "granian": [{"rate": 100.0}] * 3,
    }
    verdict = judge(Target("rate", 0.93, "granian"), rounds)
    assert verdict.mark is Mark.NOISE
    assert verdict.noise == pytest.approx(0.08 / 0.9 / 3**0.5)
    assert judge(Target("rate", 0.87, "granian"), rounds).mark is Mark.NOISE
    assert judge(Target("rate", 0.95, "granian"), rounds).mark is Mark.MISSED
    assert judge(Target("rate", 0.85, "granian"), rounds).mark is Mark.MET
    assert judge(Target("failures", 0), rounds).mark is Mark.MET


def test_what_slows_both_servers_of_a_round_changes_no_ratio() -> None:
    verdict = judge(Target("rate", 0.8, "granian"), ROUNDS)
    assert (verdict.value, verdict.noise) == (pytest.approx(0.9), LEAST_NOISE)
    assert ratio_by_cpu_time(Target("rate", 0.8, "granian"), "granian", ROUNDS) == pytest.approx(0.5)


def test_one_failure_in_any_round_misses_a_target_of_none() -> None:
    rounds = {"ropewalk": [{"failures": 0.0}, {"failures": 1.0}, {"failures": 0.0}]}
    verdict = judge(Target("failures", 0), rounds)
    assert (verdict.value, verdict.mark) == (1, Mark.MISSED)


def test_a_ratio_of_one_round_may_be_the_luck_of_two_starts() -> None:
    rounds = {"ropewalk": [{"rate": 90.0}], "granian": [{"rate": 100.0}]}
    assert judge(Target("rate", 1, "granian"), rounds).noise == pytest.approx(LUCK * 2**0.5)
    assert judge(Target("rate", 1, "granian"), {**rounds, "granian": [{"rate": 0.0}]}).mark is Mark.UNKNOWN


def test_the_spread_of_a_figure_shrinks_with_the_rounds_that_agree() -> None:
    assert spread([100.0]) == LUCK
    assert spread([90.0, 110.0]) == pytest.approx(0.2 / 2**0.5)
    assert spread([98.0, 99.0, 100.0, 101.0, 102.0]) == pytest.approx(2.3 * 0.02 / 5**0.5)
    assert spread([10.0, 99.0, 100.0, 101.0, 102.0]) == spread([98.0, 99.0, 100.0, 101.0, 500.0])
    assert spread([0.0, 0.0]) == 0
    assert not is_within_noise(0.0, 1.0, 0.5)


def test_every_aim_is_of_a_scenario_that_measures_its_servers() -> None:
    scenarios = {scenario.name: scenario for scenario in SCENARIOS}
    assert set(AIMS) <= set(scenarios)
    for name, targets in AIMS.items():
        for target in targets:
            assert target.server in (PURE, COMPILED)
            assert {target.server, target.against or PURE} - {BEST} <= set(scenarios[name].servers), name
            assert target.bound > 0 or target.metric not in HIGHER_IS_BETTER
