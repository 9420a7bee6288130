"""The generated parts of the pages are not older than the code: the same scenarios, servers, columns and targets.

A page names the commit at which it was measured. The test does not ask for a new measurement with each commit, but once
something that a page lists has changed. `make bench`, `make profile` or `make faults` writes the page then.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench import reloading
from bench.paths import COMPARE, DOCS, PAGES, ROOT, SERVER
from bench.profile import __main__ as profile
from bench.profile.syscalls import COMPARED
from bench.report.markdown import headings, parse_tables, regions
from bench.report.tables import MARKS, columns
from bench.scenarios import SCENARIOS, UNPUBLISHED
from bench.targets import Mark
from faults.report import HEADING, setup_region
from faults.run.servers import SERVERS as FAULTS_SERVERS
from faults.scenarios import SCENARIOS as FAULTS_SCENARIOS

NOT_SHOWN = {scenario.title for scenario in SCENARIOS if scenario.name in UNPUBLISHED}
PUBLISHED = [scenario for scenario in SCENARIOS if scenario.name not in UNPUBLISHED]
BENCHMARKS = PAGES / "README.md"
LIMITS = PAGES / "limits.md"
PROFILE = PAGES / "profile.md"
RELOADING = PAGES / "reloading.md"
FAULTS = DOCS / "fault-injection.md"
MEASURED = {BENCHMARKS: "results", PROFILE: "environment", RELOADING: "environment", FAULTS: "environment"}
"""The pages, and the region of each that has the environment."""


def environment(page: Path) -> Mapping[str, str]:
    table = parse_tables(regions(page.read_text())[MEASURED[page]])[0]
    return {row[0]: row[1] for row in table}


def sections(text: str) -> dict[str, str]:
    """By title, what follows a heading of the third level, up to the next heading."""
    found = re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    return dict(found)


def column(table: list[list[str]], number: int = 0) -> list[str]:
    return [row[number] for row in table[1:]]


def git(*arguments: str) -> str | None:
    """The output of git, or None if it fails."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


@pytest.mark.parametrize("page", MEASURED, ids=lambda page: page.name)
def test_a_page_names_the_date_the_version_and_a_commit_of_this_history(page: Path) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", environment(page)["date"])
    assert re.search(r"^\| ropewalk +\| \d+\.\d+", page.read_text(), re.MULTILINE)
    commits = re.split(r", (?:then )?", environment(page)["commit"])
    assert all(re.fullmatch(r"[\w.-]*[0-9a-f]{7,}", commit) for commit in commits), commits
    if git("rev-parse", "--is-shallow-repository") != "false":
        pytest.skip("the history is not here")
    for commit in commits:
        assert git("merge-base", "--is-ancestor", commit, "HEAD") is not None, f"{commit} is not in this history"


def test_what_the_page_does_not_have_yet_is_a_scenario() -> None:
    assert {scenario.name for scenario in SCENARIOS} >= UNPUBLISHED


def test_the_benchmark_has_its_scenarios_with_their_servers_and_columns() -> None:
    text = regions(BENCHMARKS.read_text())["results"]
    found = {title: section for title, section in sections(text).items() if title not in NOT_SHOWN}
    assert list(found) == [scenario.title for scenario in PUBLISHED]
    for scenario in PUBLISHED:
        section = found[scenario.title]
        (table,) = parse_tables(section)
        assert tuple(table[0]) == columns(scenario.kind.value), scenario.title
        not_measured = re.findall(r"^(\S+) was not measured: ", section, re.MULTILINE)
        assert sorted([*column(table), *not_measured]) == sorted(scenario.servers), scenario.title
        assert f"![{scenario.title}](plots/{scenario.name}.svg)" in section


def targets() -> list[tuple[str, list[str]]]:
    """The rows of the page's table of targets, each with its scenario."""
    table = next(one for one in parse_tables(BENCHMARKS.read_text()) if one[0][0] == "scenario" and "target" in one[0])
    found, title = [], ""
    for row in table[1:]:
        title = row[0] or title
        found.append((title, row))
    return found


def test_the_benchmark_has_its_targets() -> None:
    expected = [
        [scenario.title if not number else "", target.server, str(target)]
        for scenario in PUBLISHED
        for number, target in enumerate(scenario.targets)
    ]
    assert [row[:3] for title, row in targets() if title not in NOT_SHOWN] == expected


def test_the_page_about_reloading_has_its_reloaders_and_its_target() -> None:
    text = regions(RELOADING.read_text())["results"]
    (table,) = parse_tables(text)
    assert tuple(table[0]) == reloading.HEADING
    assert column(table) == list(reloading.RELOADERS)
    assert f"below {reloading.TARGET} ms: **{MARKS[Mark.MET]}**" in text


def test_every_plot_is_of_a_scenario() -> None:
    plots = {path.stem for path in (PAGES / "plots").iterdir()}
    assert plots - UNPUBLISHED == {scenario.name for scenario in PUBLISHED}


def test_every_missed_target_is_explained() -> None:
    missed = {title for title, row in targets() if row[-1] == MARKS[Mark.MISSED]}
    text = LIMITS.read_text()
    explained = headings(text, 2)
    assert missed <= set(explained)
    assert set(explained) <= {scenario.title for scenario in SCENARIOS}
    for question in ("Tried", "Limit", "Needed"):
        assert text.count(f"\n**{question}.** ") == len(explained), question


def test_fault_injection_has_its_scenarios_with_their_servers_and_columns() -> None:
    page = FAULTS.read_text()
    found = regions(page)
    assert found["setup"] == setup_region()
    (table,) = parse_tables(found["summary"])
    assert tuple(table[0]) == HEADING
    rows = [
        [scenario.title if not number else "", server]
        for scenario in FAULTS_SCENARIOS
        for number, server in enumerate(FAULTS_SERVERS)
    ]
    assert [row[:2] for row in table[1:]] == rows
    details = sections(found["scenarios"])
    assert list(details) == [scenario.title for scenario in FAULTS_SCENARIOS]
    for scenario in FAULTS_SCENARIOS:
        assert details[scenario.title].strip().startswith(scenario.description), scenario.name
    (explained,) = (one for one in parse_tables(page) if one[0] == ["column", "a request that"])
    assert column(explained) == [name for name in HEADING[2:] if name]


def test_the_profile_has_its_servers_requests_and_scenarios() -> None:
    found = regions(PROFILE.read_text())
    for region, heading, rows in (
        ("system-calls", profile.CALLS_HEADING, COMPARED),
        ("hops", profile.HOPS_HEADING, profile.REQUESTS),
        ("memory", profile.MEMORY_HEADING, profile.REQUESTS),
    ):
        (table,) = parse_tables(found[region])
        assert tuple(table[0]) == heading
        assert column(table) == list(rows)
    assert headings(found["functions"], 3) == [scenario.title for scenario in profile.PROFILED]
    expected = [profile.PACKAGES_HEADING, profile.FUNCTIONS_HEADING] * len(profile.PROFILED)
    assert [tuple(table[0]) for table in parse_tables(found["functions"])] == expected


def test_the_profile_names_functions_that_exist() -> None:
    """If this fails after a rename, `make profile` takes a minute."""
    tables = parse_tables(regions(PROFILE.read_text())["functions"])
    functions = [name for table in tables if tuple(table[0]) == profile.FUNCTIONS_HEADING for name in column(table, 1)]
    ours = [match for name in functions if (match := re.fullmatch(r"`(\S+) \(((?:ropewalk|bench)/\S+\.py)\)`", name))]
    assert len(ours) > profile.MAX_FUNCTIONS / 2
    for match in ours:
        function, path = match[1].rpartition(".")[2], match[2]
        file = (SERVER if path.startswith("ropewalk/") else COMPARE) / path
        assert file.is_file(), path
        assert function.startswith("<") or f"def {function}(" in file.read_text(), match[0]
