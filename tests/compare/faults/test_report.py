"""What the report says of results."""

from __future__ import annotations

from typing import Any

from faults.outcomes import Outcome
from faults.report import document, terminal
from faults.stage import Result

COUNTS = dict.fromkeys((outcome.value for outcome in Outcome), 0)


def results(*rows: Result) -> dict[str, Any]:
    return {
        "machine": {"kernel": "6.12"},
        "versions": {"ropewalk": "0.1.0", "gunicorn": "27.0.1"},
        "start": {"workers": 3, "threads": 4, "timeout": 30},
        "graceful": 10,
        "keep_alive": 75,
        "kept": 12,
        "fresh": 6,
        "scenarios": [
            {"name": "kill", "title": "workers killed", "what": "Six.", "rows": [row.plain() for row in rows]}
        ],
    }


GOOD = Result("ropewalk", counts=COUNTS | {"answered": 90, "aborted": 3}, sent=93, slowest=0.25)
BAD = Result(
    "gunicorn",
    counts=COUNTS | {"answered": 80, "lost": 7},
    sent=87,
    unexpected={"lost": 7},
    faults=["the server ended"],
    examples=["lost: kept-1"],
)


def test_what_was_not_as_expected_is_told_with_its_number() -> None:
    told = results(GOOD, BAD)
    assert "* ✗ gunicorn: 7 lost; the server ended" in document(told)
    assert "* ✓ ropewalk\n" in document(told)
    assert "lost: kept-1" in terminal(told)


def test_where_all_is_as_expected_a_line_says_so() -> None:
    assert "Six.\n\n✓ ropewalk\n" in document(results(GOOD))


def test_the_summary_counts_what_was_done() -> None:
    text = terminal(results(GOOD, Result("gunicorn", not_done="it cannot")))
    assert "ropewalk 0.1.0: 1 of 1 as expected" in text
    assert "gunicorn 27.0.1: 0 of 0 as expected" in text
    assert "gunicorn: not done: it cannot" in text


def test_an_empty_cell_is_nought() -> None:
    row = next(line for line in document(results(GOOD)).splitlines() if line.startswith("| workers killed"))
    assert [cell.strip() for cell in row.strip("|").split("|")][2:] == [
        *("", "93", "90", "", "3", "", "", "", "", "", "0.25 s", "✓")
    ]
