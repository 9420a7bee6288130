"""The tables and verdicts of results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faults.__main__ import RESULTS, selected, write
from faults.report import OUTCOMES, Results, ScenarioResult, page_regions, results_table, terminal
from faults.run.outcomes import Outcome
from faults.run.scenario import Result

COUNTS = dict.fromkeys((outcome.value for outcome in Outcome), 0)


def results(*rows: Result) -> Results:
    versions = {"ropewalk": "0.1.0", "gunicorn": "27.0.1"}
    return Results({"kernel": "6.12"}, versions, [ScenarioResult("kill", "Workers killed", "Six.", list(rows))])


GOOD = Result("ropewalk", counts=COUNTS | {"completed": 90, "aborted": 3}, sent=93, slowest=0.25)
BAD = Result(
    "gunicorn",
    counts=COUNTS | {"completed": 80, "lost": 7},
    sent=87,
    unexpected={"lost": 7},
    failures=["the server exited"],
    examples=["lost: kept-1"],
)


def test_unexpected_outcomes_are_listed_with_their_number() -> None:
    scenarios = page_regions(results(GOOD, BAD))["scenarios"]
    assert "* ✗ gunicorn: 7 lost; the server exited" in scenarios
    assert "* ✓ ropewalk\n" in scenarios
    assert "lost: kept-1" in terminal(results(GOOD, BAD))


def test_a_scenario_that_all_servers_passed_has_one_line() -> None:
    assert page_regions(results(GOOD))["scenarios"].endswith("Six.\n\n✓ ropewalk")


def test_the_summary_does_not_count_what_was_skipped() -> None:
    text = terminal(results(GOOD, Result("gunicorn", skipped="no cgroup")))
    assert "ropewalk 0.1.0: 1 of 1 scenarios passed" in text
    assert "gunicorn 27.0.1: 0 of 0 scenarios passed" in text
    assert "gunicorn: skipped: no cgroup" in text


def test_a_zero_is_an_empty_cell() -> None:
    row = results_table(results(GOOD)).splitlines()[2]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        *("Workers killed", "ropewalk", "", "93", "90", "", "3", "", "", "", "", "", "0.25 s", "✓")
    ]
    assert {*OUTCOMES, Outcome.NOT_CONNECTED} == set(Outcome)


def test_a_run_is_written_and_can_be_rendered_again(tmp_path: Path) -> None:
    write(results(GOOD, BAD), tmp_path, tmp_path / "data")
    page = (tmp_path / "fault-injection.md").read_text()
    assert "✗ gunicorn: 7 lost" in page
    again = Results.from_json(json.loads((tmp_path / "data" / RESULTS).read_text()))
    assert again == results(GOOD, BAD)


def test_an_unknown_scenario_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        selected(["moon"])
    assert raised.value.code == 2
    assert capsys.readouterr().err.startswith("faults: moon: unknown scenario; choose from baseline, reload,")
