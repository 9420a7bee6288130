"""The time from a start to the first response."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import cold_start
from bench.cold_start import CONTENDERS, Contender
from bench.report.markdown import parse_tables, regions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cold_start.write_programs(tmp_path)
    return tmp_path


def test_a_server_is_started_until_it_responds(folder: Path) -> None:
    seconds = cold_start.seconds_to_respond(Contender("", "", ("embedded.py", "PORT")), folder)
    assert isinstance(seconds, float)
    assert 0 < seconds < cold_start.PATIENCE


def test_one_that_does_not_start_has_its_last_line_in_the_table(folder: Path) -> None:
    contender = Contender("a function", "none", ("-m", "no_such_server"))
    line = cold_start.seconds_to_respond(contender, folder)
    assert isinstance(line, str)
    assert line.endswith("No module named no_such_server")
    assert list(cold_start.rows({contender: line})) == [("a function", "none", "-", "-", line)]


def test_the_page_has_every_server_that_is_measured() -> None:
    table = parse_tables(regions(cold_start.PAGE.read_text())[cold_start.REGION])[0]
    assert [row[:2] for row in table[1:]] == [[each.application, each.name] for each in CONTENDERS]
