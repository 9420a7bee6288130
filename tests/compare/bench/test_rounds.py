"""Interleaved rounds, their samples, and a run that is resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import rounds
from bench.measure import Sample, Settings
from bench.rounds import SampleStore, measure_rounds
from bench.scenarios import SCENARIOS, Scenario
from bench.server_process import StartError, _file_pages
from bench.servers import Server

ABOUT = {"commit": "1234567", "seconds": 2.0}
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
    return SampleStore(tmp_path / "run" / "samples.json", ABOUT)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    done = Measured()
    monkeypatch.setattr(rounds, "missing_servers", dict)
    monkeypatch.setattr(rounds, "measure", done.measure)
    return done


def test_each_round_has_every_scenario_and_starts_with_another_server(store: SampleStore, measured: Measured) -> None:
    measure_rounds(TWO, SETTINGS, 2, 60, store)
    assert measured[:4] == [(one.name, name) for one in TWO for name in ("ropewalk", "granian")]
    assert measured[4:] == [(one.name, name) for one in TWO for name in ("granian", "ropewalk")]
    assert [found["rounds"] for found in store.results(TWO)] == [2, 2]


def test_no_round_starts_that_would_exceed_the_budget(store: SampleStore, measured: Measured) -> None:
    measure_rounds(TWO, SETTINGS, 5, 0, store)
    assert len(measured) == 4


def test_an_interrupted_run_is_resumed_where_it_was(store: SampleStore, measured: Measured) -> None:
    measured.raises = {3: KeyboardInterrupt()}
    measure_rounds(TWO, SETTINGS, 1, 60, store)
    assert [found["name"] for found in store.results(TWO)] == [TWO[0].name]
    again = SampleStore(store.path, ABOUT)
    assert again.resume() == ""
    measured.clear()
    measure_rounds(TWO, SETTINGS, 1, 60, again)
    assert {name for name, _ in measured} == {TWO[1].name}
    assert [found["rounds"] for found in again.results(TWO)] == [1, 1]


def test_samples_of_another_run_are_not_mixed_in(store: SampleStore, measured: Measured) -> None:
    measure_rounds(TWO, SETTINGS, 1, 60, store)
    other = SampleStore(store.path, {**ABOUT, "commit": "7654321"})
    assert "is from another run" in other.resume()
    assert "No such file" in SampleStore(store.path.with_name("none"), ABOUT).resume()


def test_a_run_goes_on_if_its_samples_cannot_be_saved(
    tmp_path: Path, measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    store = SampleStore(tmp_path / "file" / "samples.json", ABOUT)
    measure_rounds(TWO, SETTINGS, 1, 60, store)
    assert [found["rounds"] for found in store.results(TWO)] == [1, 1]
    assert capsys.readouterr().err.count("; --resume will not work") == 1


def test_a_server_that_failed_is_not_measured_again(store: SampleStore, measured: Measured) -> None:
    measured.raises = {1: StartError("no response")}
    measure_rounds(TWO[:1], SETTINGS, 2, 60, store)
    assert measured == [("hello", "ropewalk"), ("hello", "granian"), ("hello", "ropewalk")]
    assert store.results(TWO)[0]["errors"] == {"granian": "no response"}


def test_pages_of_files_are_separated_from_private_ones() -> None:
    smaps = (
        "55d4a000-55d4c000 r-xp 00001000 08:01 1234                       /usr/bin/a name: python\n"
        "Size:                  8 kB\nRss:                   8 kB\nAnonymous:             4 kB\nVmFlags: rd ex\n"
        "7f0000000000-7f0000001000 rw-p 00000000 00:00 0                   [heap]\n"
        "Rss:                   4 kB\nAnonymous:             4 kB\n"
    )
    assert list(_file_pages(smaps)) == [("08:01 1234 00001000", 4096)]
