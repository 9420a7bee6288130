"""The check runs the real server, and says how far the predictions are off. How far they are is no test's matter."""

from __future__ import annotations

import os
from itertools import product

import pytest

from bench.report.markdown import parse_tables, regions
from plan import calibrate
from plan.check import KINDS, PAGE, UTILISATIONS, Row, results, summary
from plan.server import load, serving
from plan.workload import Distribution, Request


@pytest.fixture(autouse=True)
def as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the priority of a measurement, the tests that run beside these would wait."""
    monkeypatch.setattr(os, "sched_setscheduler", lambda *_: None)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.short)
def test_a_row_is_measured_and_predicted_with_the_same_requests(kind) -> None:
    row = Row(kind, Distribution.CONSTANT, 0.5)
    with serving(kind.workers, kind.threads) as process:
        row.measure(process, 6, 1, calibrate.USUAL)
    assert len(row.measured.times) == len(row.predicted.times) == 6
    # no response can be sooner than what the application does
    assert min(row.measured.times) >= kind.service_seconds
    assert min(row.predicted.times) >= kind.service_seconds


def test_connections_alternate_between_the_workers() -> None:
    with serving(workers=2, threads=2) as process:
        found = load(process, [Request(0.0, 0.0, 0.001)] * 3)
    assert len(found.times) == 3
    assert found.cpu_seconds > 0
    fewer = min(found.connections.count(0), found.connections.count(1))
    assert found.connections[: 2 * fewer] == [0, 1] * fewer


def row(predicted: float, measured: float, utilisation: float = 0.8) -> Row:
    found = Row(KINDS[0], Distribution.CONSTANT, utilisation)
    found.predicted.add([predicted] * 10, 1.0)
    found.measured.add([measured] * 10, 1.0)
    return found


def test_errors_are_of_the_prediction_and_the_summary_names_those_past_the_aim() -> None:
    assert row(0.110, 0.100).errors == pytest.approx((0.1, 0.1, 0.0))
    assert summary([row(0.110, 0.100)]) == "Up to 90%, 3 of 3 are within 15%."
    text = summary([row(0.080, 0.100), row(0.100, 0.100), row(0.200, 0.100, utilisation=0.95)])
    assert text.startswith("Up to 90%, 4 of 6 are within 15%. Not: p50 of waiting 40 ms, constant, at 80% (-20%); p99")


def test_capacity_is_that_of_what_is_used_up_first() -> None:
    assert [kind.capacity for kind in KINDS] == pytest.approx([200, 50, 50])


def test_the_page_has_the_rows_of_the_check() -> None:
    tables = parse_tables(regions(PAGE.read_text())["results"])
    expected = parse_tables("\n\n".join(results([row_of(*each) for each in all_rows()])))
    assert [[line[0] for line in table] for table in tables] == [[line[0] for line in table] for table in expected]


def all_rows():
    return product(KINDS, Distribution, UTILISATIONS)


def row_of(kind, distribution, utilisation) -> Row:
    found = Row(kind, distribution, utilisation)
    found.predicted.add([1.0], 1.0)
    found.measured.add([1.0], 1.0)
    return found
