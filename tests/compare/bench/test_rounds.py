"""Interleaved rounds, their samples, and a run that is resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import rounds
from bench.loads.wrk import LoadError
from bench.measure import Sample, Settings
from bench.rounds import Plan, SampleStore, measure_rounds, schedule
from bench.scenarios import SCENARIOS, Scenario
from bench.server_process import StartError, WrongResponseError, _file_pages
from bench.servers import Server

ABOUT = {"commit": "1234567", "granian": "2.8"}
SETTINGS = Settings(1.0, {})
TWO = [one.with_only(["ropewalk", "granian"]) for one in SCENARIOS[:2]]


class Measured(list[tuple[str, str]]):
    """The scenario and server of each measurement. `raises` has exceptions to raise instead, by number."""

    def __init__(self) -> None:
        super().__init__()
        self.raises: dict[int, BaseException] = {}

    def measure(self, scenario: Scenario, server: Server, settings: Settings) -> Sample:
        number = len(self)
        self.append((scenario.name, server.name))
        if number in self.raises:
            raise self.raises[number]
        return {"rate": 100.0 + number, "rate_cpu": 1.0, "p99": 0.001, "failures": 0.0}


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    return SampleStore(tmp_path / "run" / "samples.json", ABOUT, Plan(1.0, 60.0))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    done = Measured()
    monkeypatch.setattr(rounds, "missing_servers", dict)
    monkeypatch.setattr(rounds, "measure", done.measure)
    return done


def test_each_round_has_every_scenario_and_starts_with_another_server(store: SampleStore, measured: Measured) -> None:
    measure_rounds(TWO, SETTINGS, 2, store)
    assert measured[:4] == [(one.name, name) for one in TWO for name in ("ropewalk", "granian")]
    assert measured[4:] == [(one.name, name) for one in TWO for name in ("granian", "ropewalk")]
    assert [found["rounds"] for found in store.results(TWO)] == [2, 2]


def test_the_first_round_is_whole_and_no_scenario_starts_for_which_there_is_no_time(
    store: SampleStore, measured: Measured
) -> None:
    store.plan.minutes = 1e-9
    measure_rounds(TWO, SETTINGS, 5, store)
    assert len(measured) == 4


def test_time_that_does_not_suffice_for_a_whole_round_goes_to_those_that_fit(
    store: SampleStore, measured: Measured
) -> None:
    store.took = {TWO[0].name: 1e9}  # as an earlier part of the run measured it
    measure_rounds(TWO, SETTINGS, 3, store)
    assert store.rounds == {TWO[0].name: 1, TWO[1].name: 3}


def test_all_scenarios_have_two_rounds_before_the_important_ones_have_more() -> None:
    important = next(one for one in SCENARIOS if one.is_important)
    other = next(one for one in SCENARIOS if not one.is_important)
    assert [(number, one is important) for number, one in schedule([important, other], 6)] == [
        *((number, is_important) for number in (0, 1) for is_important in (True, False)),
        *((number, True) for number in (2, 3, 4)),
        *((number, False) for number in (2, 3, 4)),
        (5, True),
        (5, False),
    ]
    assert list(schedule([important, other], 1)) == [(0, important), (0, other)]


def test_an_interrupted_run_is_resumed_where_it_was(store: SampleStore, measured: Measured) -> None:
    measured.raises = {3: KeyboardInterrupt()}
    store.plan.used = 100.0
    measure_rounds(TWO, SETTINGS, 1, store)
    assert [found["name"] for found in store.results(TWO)] == [TWO[0].name]
    again = SampleStore(store.path, ABOUT, Plan(2.0, 1.0))
    assert again.resume() == ""
    assert (again.plan.seconds, again.plan.minutes) == (1.0, 60.0)
    assert again.plan.used >= 100
    measured.clear()
    measure_rounds(TWO, SETTINGS, 1, again)
    assert {name for name, _ in measured} == {TWO[1].name}
    assert [found["rounds"] for found in again.results(TWO)] == [1, 1]


def test_samples_of_another_run_are_not_mixed_in(store: SampleStore, measured: Measured) -> None:
    measure_rounds(TWO, SETTINGS, 1, store)
    other = SampleStore(store.path, {**ABOUT, "commit": "7654321"}, store.plan)
    assert other.resume().endswith("is from another run: commit '1234567', here '7654321'")
    newer = SampleStore(store.path, {**ABOUT, "granian": "3.0"}, store.plan)
    assert newer.resume().endswith("granian '2.8', here '3.0'")
    assert "No such file" in SampleStore(store.path.with_name("none"), ABOUT, store.plan).resume()


def test_a_run_goes_on_if_its_samples_cannot_be_saved(
    tmp_path: Path, measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    store = SampleStore(tmp_path / "file" / "samples.json", ABOUT, Plan(1.0, 60.0))
    measure_rounds(TWO, SETTINGS, 1, store)
    assert [found["rounds"] for found in store.results(TWO)] == [1, 1]
    assert capsys.readouterr().err.count("; --resume will not work") == 1


def test_a_server_that_failed_is_not_measured_again(store: SampleStore, measured: Measured) -> None:
    measured.raises = {1: WrongResponseError("wrong response")}
    measure_rounds(TWO[:1], SETTINGS, 2, store)
    assert measured == [("hello", "ropewalk"), ("hello", "granian"), ("hello", "ropewalk")]
    assert store.results(TWO)[0]["errors"] == {"granian": "wrong response"}


def test_a_server_that_does_not_respond_is_measured_a_second_time(store: SampleStore, measured: Measured) -> None:
    measured.raises = {0: StartError("no response"), 2: LoadError("no response"), 3: LoadError("still none")}
    measure_rounds(TWO[:1], SETTINGS, 1, store)
    assert [name for _, name in measured] == ["ropewalk", "ropewalk", "granian", "granian"]
    assert store.results(TWO)[0]["errors"] == {"granian": "still none"}


def test_pages_of_files_are_separated_from_private_ones() -> None:
    smaps = (
        "55d4a000-55d4c000 r-xp 00001000 08:01 1234                       /usr/bin/a name: python\n"
        "Size:                  8 kB\nRss:                   8 kB\nAnonymous:             4 kB\nVmFlags: rd ex\n"
        "7f0000000000-7f0000001000 rw-p 00000000 00:00 0                   [heap]\n"
        "Rss:                   4 kB\nAnonymous:             4 kB\n"
    )
    assert list(_file_pages(smaps)) == [("08:01 1234 00001000", 4096)]
