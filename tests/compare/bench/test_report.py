"""From samples to tables, page and plots."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import machine
from bench.__main__ import main, selected
from bench.console import check_committed, check_writable
from bench.measure import Sample
from bench.paths import APPLICATIONS, COMPARE
from bench.report import page
from bench.report.markdown import anchor, parse_tables, regions, replace_regions, table
from bench.report.plots import bars
from bench.report.tables import COLUMNS, remarks, terminal
from bench.results import Results, ScenarioResult, summarize
from bench.scenarios import SCENARIOS, Kind
from bench.servers import SERVERS, Start

HELLO = SCENARIOS[0]
SAMPLE = {"rate_cpu": 1000.0, "p50": 0.001, "p99": 0.002, "longest": 0.1, "failures": 0.0, "others": 0.0}


WITHOUT_THREADS = ("bjoern", "fastpysgi", "werkzeug", "nginx")


def hello(**changes: float) -> ScenarioResult:
    samples: dict[str, list[Sample]] = {
        "ropewalk": [SAMPLE | {"rate": rate} for rate in (800.0, 900.0, 850.0)],
        "ropewalk-compiled": [SAMPLE | {"rate": rate} for rate in (1300.0, 1300.0, 1300.0)],
        "fastpysgi": [SAMPLE | {"rate": rate} for rate in (1500.0, 1500.0, 1500.0)],
        "granian": [SAMPLE | {"rate": rate, "failures": 1.0, **changes} for rate in (800.0, 810.0, 100.0)],
        "bjoern": [SAMPLE | {"rate": 1000.0}],
    }
    return summarize(HELLO, samples, {"bjoern": "wrong response: status 500 instead of 200"})


def results(**changes: float) -> Results:
    return {
        "machine": {"kernel": "6.1"},
        "versions": {"ropewalk": "1"},
        "missing": {"uwsgi": "no compiler"},
        "threads": 8,
        "connections": 32,
        "rounds": [3, 3],
        "seconds": 1.0,
        "scenarios": [hello(**changes)],
    }


def test_medians_have_their_range_and_all_failures() -> None:
    found = hello()
    assert found["medians"]["ropewalk"]["rate"] == 850
    assert (found["least"]["granian"]["rate"], found["most"]["granian"]["rate"]) == (100, 810)
    assert found["medians"]["granian"]["failures"] == 3


def test_a_server_that_failed_in_one_round_is_named_and_not_compared() -> None:
    text = terminal(results())
    assert "bjoern was not measured: wrong response: status 500 instead of 200" in text
    assert "| requests/s at least 0.9 × bjoern          | - " in text


def test_every_target_has_its_row_and_its_mark() -> None:
    text = terminal(results())
    assert "| 1.62 ± 6.58 × granian   | 1.00        | ≈ within noise |" in text
    assert "| 0.87 ± 0.02 × fastpysgi | 1.00        | ✗ missed       |" in text
    assert text.count("✗ missed") == 1
    assert text.count("≈ within noise") == 2
    assert text.count("- not measured") == 3
    assert "0 of 6 targets are met, 2 lie within the noise of the run" in text


def test_every_figure_has_its_spread_if_there_are_rounds() -> None:
    found = hello()
    assert "| ropewalk          | 850 (±7%) " in terminal(results())
    assert found["spreads"]["ropewalk"]["rate"] == pytest.approx(100 / 850 / 3**0.5)


def test_other_processes_and_a_full_load_are_remarked_on() -> None:
    assert remarks(hello()) == ["bjoern was not measured: wrong response: status 500 instead of 200"]
    assert "used up to 40% of the server's CPU" in remarks(hello(others=0.4))[1]
    assert "full before the server's with granian" in remarks(hello(load_busy=1.0, server_busy=0.5))[1]


def test_a_run_writes_its_page_its_data_and_its_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, str] = {}
    monkeypatch.setattr(page, "draw", lambda scenario, path: drawn.update({scenario["name"]: path.name}))
    page.write(results(), tmp_path / "pages", tmp_path / "data")
    assert json.loads((tmp_path / "data" / "results.json").read_text())["rounds"] == [3, 3]
    assert page.load_results(tmp_path / "data") == results()
    text = (tmp_path / "pages" / "README.md").read_text()
    assert text.startswith("# Benchmarks\n")
    assert "uwsgi is missing: no compiler" in text
    assert "![Hello, keep-alive connections](plots/hello.svg)" in text
    assert "[Why a target is missed](limits.md#hello-keep-alive-connections)" in text
    assert drawn == {"hello": "hello.svg"}


def test_a_missed_target_without_an_explanation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LIMITS", tmp_path / "limits.md")
    page.LIMITS.write_text("# Limits\n")
    assert page.unexplained(results()) == [HELLO.title]
    page.LIMITS.write_text(f"# Limits\n\n## {HELLO.title}\n")
    assert page.unexplained(results()) == []


@pytest.mark.parametrize("is_complete", [True, False])
def test_the_page_is_written_only_if_all_scenarios_are_measured(
    is_complete: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = results() | {"scenarios": [summarize(one, {}, {}) for one in SCENARIOS[0 if is_complete else 1 :]]}
    written: list[object] = []
    monkeypatch.setattr("bench.__main__.find_program", lambda name: name)
    monkeypatch.setattr("bench.__main__.check_committed", lambda commit: None)
    monkeypatch.setattr("bench.__main__.allow_many_descriptors", lambda: None)
    monkeypatch.setattr("bench.__main__.run", lambda *arguments: found)
    monkeypatch.setattr("bench.__main__.write", lambda *arguments: written.append(arguments[1]))
    monkeypatch.setattr(sys, "argv", ["bench"])
    assert main() == 0
    assert written == ([page.PAGES] if is_complete else [])
    assert ("the page is not written" in capsys.readouterr().err) is not is_complete


def test_the_best_server_is_drawn_first() -> None:
    assert [bar.server for bar in bars(hello())] == ["fastpysgi", "ropewalk-compiled", "ropewalk", "granian"]
    assert bars(hello())[0].label == "1,500 requests/s, p99 2.00 ms"
    start = {"start": 0.1, "memory": 1.0, "resident": 1.0}
    scenario = next(one for one in SCENARIOS if one.kind is Kind.START)
    found = summarize(scenario, {"ropewalk": [start | {"start": 0.2}], "bjoern": [start]}, {})
    assert [(bar.server, bar.value, bar.label) for bar in bars(found)] == [
        ("bjoern", 0.1, "100 ms"),
        ("ropewalk", 0.2, "200 ms"),
    ]


def test_a_table_has_columns_of_equal_width() -> None:
    text = table(("a", "b"), [("1", "22"), ("", "3")])
    assert text == "| a | b  |\n| - | -- |\n| 1 | 22 |\n|   | 3  |"
    assert parse_tables(f"{text}\n\ntext\n\n{text}") == [[["a", "b"], ["1", "22"], ["", "3"]]] * 2


def test_only_the_regions_of_a_page_are_replaced() -> None:
    text = "by hand\n<!-- generated: a -->\nold\n<!-- end: a -->\n\n<!-- generated: b -->\n<!-- end: b -->\n"
    new = replace_regions(text, {"a": "1", "b": "2"})
    assert regions(new) == {"a": "1", "b": "2"}
    assert replace_regions(new, {"a": "1", "b": "2"}) == new
    assert new.startswith("by hand\n")
    for contents in ({"a": "1"}, {"a": "1", "b": "2", "c": "3"}):
        with pytest.raises(ValueError, match="the page has the regions"):
            replace_regions(text, contents)


def test_an_anchor_is_githubs() -> None:
    assert anchor("Hello, open loop of 2,000 requests/s") == "hello-open-loop-of-2000-requestss"


def test_scenarios_name_servers_and_applications_that_exist() -> None:
    for scenario in SCENARIOS:
        assert set(scenario.servers) <= set(SERVERS)
        assert (APPLICATIONS / f"{scenario.application}.py").is_file()
        assert {target.against for target in scenario.targets} <= {*scenario.servers, "best peer", ""}
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert len({scenario.title for scenario in SCENARIOS}) == len(SCENARIOS)


def test_every_kind_has_columns_for_its_table() -> None:
    assert set(COLUMNS) == {kind.value for kind in Kind}


def test_every_server_gets_its_address_and_its_threads() -> None:
    for name, server in SERVERS.items():
        words = " ".join(server.command(Start("hello", "127.0.0.1:8123", threads=7)))
        assert "8123" in words
        assert "hello" in words or name == "nginx"
        assert "7" in words.split() or name in ("gunicorn-sync", "gunicorn-sync-c", *WITHOUT_THREADS)


def test_the_quick_mode_has_few_scenarios_and_a_name_selects_any() -> None:
    assert 2 <= len(selected([], True, "")) < 8
    assert [one.name for one in selected(["chunks"], True, "ropewalk")] == ["chunks"]
    assert selected(["chunks"], False, "ropewalk")[0].servers == ("ropewalk",)


@pytest.mark.parametrize(
    ("names", "only", "text"),
    [
        (["nonsense"], "", "bench: nonsense: unknown scenario; choose from hello,"),
        ([], "ropewalk,apache", "bench: --only apache: unknown server; choose from ropewalk,"),
    ],
)
def test_an_unknown_name_is_one_line_and_status_2(
    names: list[str], only: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        selected(names, False, only)
    assert raised.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith(text)
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("--rounds", "0"), ("--rounds", "1.5"), ("--seconds", "-1"), ("--minutes", "nan"), ("--before", "/nowhere")],
)
def test_a_bad_option_is_named_before_anything_is_measured(
    option: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.__main__.find_program", lambda name: name)
    monkeypatch.setattr(sys, "argv", ["bench", "hello", option, value])
    with pytest.raises(SystemExit) as raised:
        main()
    assert raised.value.code == 2
    assert option in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_that_cannot_be_written_is_reported_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as raised:
        check_writable(tmp_path / "file" / "docs")
    assert raised.value.code == 2
    assert capsys.readouterr().err.endswith("docs: Not a directory\n")


def test_a_page_is_not_measured_with_uncommitted_changes(capsys: pytest.CaptureFixture[str]) -> None:
    check_committed("1234567")
    with pytest.raises(SystemExit) as raised:
        check_committed("1234567-dirty")
    assert raised.value.code == 2
    assert "uncommitted changes" in capsys.readouterr().err


def test_the_machine_names_its_environment_and_its_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_WHERE", "an image")
    monkeypatch.setenv("BENCH_COMMIT", "1234567")
    facts = machine.machine()
    assert facts["environment"] == "an image"
    assert facts["commit"] == "1234567"
    monkeypatch.setattr(machine, "_first_line", lambda command: "unknown")
    assert machine.build_options("'--enable-optimizations'").endswith("with PGO, without LTO")
    assert machine.build_options("'--with-lto'").endswith("without PGO, with LTO")
    assert machine.python_build().startswith("compiled by")


def test_a_distributions_python_is_named_by_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_line(command: list[str]) -> str:
        return f"python3.13-minimal: {command[2]}" if command[1] == "--search" else "python3.13-minimal\t3.13.5-2"

    monkeypatch.setattr(machine, "_first_line", first_line)
    monkeypatch.setattr(machine.os.path, "realpath", lambda path: "/usr/bin/python3.13")
    assert machine.python_build() == "package python3.13-minimal 3.13.5-2"


def test_the_package_is_next_to_its_requirements() -> None:
    assert (COMPARE / "requirements.in").is_file()
