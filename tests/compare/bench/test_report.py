"""From samples to the table, the document and the plots."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import machine
from bench.__main__ import check_writable, wanted, write
from bench.backends import APPLICATIONS, BACKENDS, Start
from bench.plots import chart
from bench.report import table, terminal
from bench.rounds import result
from bench.scenarios import SCENARIOS, Kind

HELLO = SCENARIOS[0]
SAMPLE = {"rate_cpu": 1000.0, "p50": 0.001, "p99": 0.002, "longest": 0.1, "failures": 0.0, "others": 0.0}


def results(**changes):
    samples = {
        "ropewalk": [SAMPLE | {"rate": rate} for rate in (800.0, 900.0, 850.0)],
        "granian": [SAMPLE | {"rate": rate, "failures": 1.0, **changes} for rate in (1000.0, 100.0, 1000.0)],
        "bjoern": [SAMPLE | {"rate": 1000.0}],
    }
    return {
        "machine": {"kernel": "6.1"},
        "versions": {"ropewalk": "1"},
        "missing": {"uwsgi": "no compiler"},
        "threads": 8,
        "connections": 32,
        "rounds": 3,
        "seconds": 1.0,
        "scenarios": [result(HELLO, samples, {"bjoern": "answers wrongly: status 500 instead of 200"})],
    }


def test_medians_with_their_spread_and_all_failures():
    found = results()["scenarios"][0]
    assert found["medians"]["ropewalk"]["rate"] == 850
    assert (found["least"]["granian"]["rate"], found["most"]["granian"]["rate"]) == (100, 1000)
    assert found["medians"]["granian"]["failures"] == 3


def test_a_server_that_failed_in_one_round_is_named_and_not_compared():
    text = terminal(results())
    assert "bjoern: not measured: answers wrongly: status 500 instead of 200" in text
    assert "| req/s at least 0.85 x bjoern        | -" in text


def test_every_target_has_its_row_and_its_mark():
    text = terminal(results())
    assert "0.85 x granian" in text
    assert text.count("✗ not reached") == 1
    assert text.count("✓ reached") == 1  # p99 no worse than granian's
    assert "1 of 5 reached" in text


def test_a_busy_machine_is_told():
    assert "Others took" not in terminal(results())
    assert "Others took up to 40% of the server's processor" in terminal(results(others=0.4))


def test_the_folder_holds_results_document_and_plots(tmp_path):
    write(results(), tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["rounds"] == 3
    document = (tmp_path / "README.md").read_text()
    assert "uwsgi is missing: no compiler" in document
    assert "![hello, keep-alive](hello.svg)" in document
    ElementTree.parse(tmp_path / "hello.svg")


def test_a_plot_escapes_names():
    scenario = results()["scenarios"][0] | {"title": "<&>"}
    assert ElementTree.fromstring(chart(scenario)).tag.endswith("svg")


def test_a_table_has_equal_columns():
    assert table(("a", "b"), [("1", "22")]) == "| a | b  |\n| - | -- |\n| 1 | 22 |"


def test_scenarios_name_servers_and_applications_that_exist():
    for scenario in SCENARIOS:
        assert set(scenario.backends) <= set(BACKENDS)
        assert (APPLICATIONS / f"{scenario.application}.py").is_file()
        assert {target.against for target in scenario.targets} <= {*scenario.backends, "best peer", ""}
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_every_kind_has_columns_for_its_table():
    for kind in Kind:
        assert terminal({"scenarios": [{**result(HELLO, {}, {}), "kind": kind.value}]})


def test_every_server_gets_its_address_and_its_threads():
    for name, backend in BACKENDS.items():
        words = " ".join(backend.command(Start("hello", "127.0.0.1:8123", threads=7)))
        assert "8123" in words
        assert "hello" in words
        assert "7" in words.split() or name in ("gunicorn-sync", "gunicorn-sync-c", "bjoern", "werkzeug")


def test_the_quick_mode_has_few_scenarios_and_a_name_picks_any():
    assert 2 <= len(wanted([], True, "")) < 8
    assert [one.name for one in wanted(["chunks"], True, "ropewalk")] == ["chunks"]
    assert wanted(["chunks"], False, "ropewalk")[0].backends == ("ropewalk",)


@pytest.mark.parametrize(
    ("names", "only", "text"),
    [
        (["nonsense"], "", "bench: nonsense: no such scenario; there are hello,"),
        ([], "ropewalk,apache", "bench: --only apache: no such server; there are ropewalk,"),
    ],
)
def test_a_name_that_is_none_is_told_in_one_line(names, only, text, capsys):
    with pytest.raises(SystemExit) as raised:
        wanted(names, False, only)
    assert raised.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(text)
    assert said.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path, capsys):
    check_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as raised:
        check_writable(tmp_path / "file" / "docs")
    assert raised.value.code == 2
    assert "the results could not be written: Not a directory" in capsys.readouterr().err


def test_the_machine_tells_where_and_of_which_python(monkeypatch):
    monkeypatch.setenv("BENCH_WHERE", "in an image")
    monkeypatch.setenv("BENCH_COMMIT", "1234567")
    facts = machine.machine()
    assert facts["where"] == "in an image"
    assert facts["commit"] == "1234567"
    monkeypatch.setattr(machine, "_first_line", lambda command: "unknown")
    assert "led by a profile, without" in machine.compiled("'--enable-optimizations'")
    assert "without a profile to lead it, with optimisation at link time" in machine.compiled("'--with-lto'")
    assert machine.build().startswith("compiled by")


def test_a_distributions_python_is_told_by_its_package(monkeypatch):
    def say(command):
        return f"python3.13-minimal: {command[2]}" if command[1] == "--search" else "python3.13-minimal\t3.13.5-2"

    monkeypatch.setattr(machine, "_first_line", say)
    monkeypatch.setattr(machine.os.path, "realpath", lambda path: "/usr/bin/python3.13")
    assert machine.build() == "of the package python3.13-minimal 3.13.5-2"


def test_the_package_lies_beside_its_requirements():
    assert (Path(APPLICATIONS).parents[1] / "requirements.in").is_file()
