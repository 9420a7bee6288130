"""Rounds over all scenarios, kept after each, ended and taken up again; and the notes that a new run leaves."""

import pytest

from bench import rounds
from bench.measure import Terms
from bench.notes import NOTES, answers, read_notes
from bench.running import StartError, _file_pages
from bench.scenarios import SCENARIOS

ABOUT = {"commit": "1234567", "seconds": 2.0}
RUN = Terms(1.0, {})
TWO = [one.with_only(["ropewalk", "granian"]) for one in SCENARIOS[:2]]


@pytest.fixture
def kept(tmp_path):
    return rounds.Kept(tmp_path / "run" / "samples.json", ABOUT)


@pytest.fixture
def measured(monkeypatch):
    """Who was measured, in order; what a test puts into `raises` by its number is raised instead."""
    done = Measured()
    monkeypatch.setattr(rounds, "missing", dict)
    monkeypatch.setattr(rounds, "sample", done.sample)
    return done


class Measured(list):
    def __init__(self):
        self.raises = {}

    def sample(self, scenario, backend, run):
        number = len(self)
        self.append((scenario.name, backend.name))
        if number in self.raises:
            raise self.raises[number]
        return {"rate": 100.0 + number, "rate_cpu": 1.0, "p99": 0.001, "failures": 0.0}


def test_each_round_has_every_scenario_and_begins_with_another_server(kept, measured):
    rounds.measure(TWO, RUN, 2, 60, kept)
    assert measured[:4] == [(one.name, name) for one in TWO for name in ("ropewalk", "granian")]
    assert measured[4:] == [(one.name, name) for one in TWO for name in ("granian", "ropewalk")]
    assert [found["rounds"] for found in kept.results(TWO)] == [2, 2]


def test_no_round_begins_that_the_time_will_not_do_for(kept, measured):
    rounds.measure(TWO, RUN, 5, 0, kept)
    assert len(measured) == 4


def test_an_interrupted_run_is_kept_and_goes_on_where_it_was(kept, measured):
    measured.raises = {3: KeyboardInterrupt()}
    rounds.measure(TWO, RUN, 1, 60, kept)
    assert [found["name"] for found in kept.results(TWO)] == [TWO[0].name]
    again = rounds.Kept(kept.path, ABOUT)
    assert again.resume() == ""
    measured.clear()
    rounds.measure(TWO, RUN, 1, 60, again)
    assert {name for name, _ in measured} == {TWO[1].name}
    assert [found["rounds"] for found in again.results(TWO)] == [1, 1]


def test_samples_of_another_run_are_not_mixed_in(kept, measured):
    rounds.measure(TWO, RUN, 1, 60, kept)
    other = rounds.Kept(kept.path, {**ABOUT, "commit": "7654321"})
    assert "is of another run" in other.resume()
    assert "No such file" in rounds.Kept(kept.path.with_name("none"), ABOUT).resume()


def test_where_nothing_can_be_kept_it_goes_on(tmp_path, measured, capsys):
    (tmp_path / "file").touch()
    kept = rounds.Kept(tmp_path / "file" / "samples.json", ABOUT)
    rounds.measure(TWO, RUN, 1, 60, kept)
    assert [found["rounds"] for found in kept.results(TWO)] == [1, 1]
    assert capsys.readouterr().err.count(": --resume will find nothing") == 1


def test_a_server_that_failed_is_not_tried_again(kept, measured):
    measured.raises = {1: StartError("no answer")}
    rounds.measure(TWO[:1], RUN, 2, 60, kept)
    assert measured == [("hello", "ropewalk"), ("hello", "granian"), ("hello", "ropewalk")]
    assert kept.results(TWO)[0]["faults"] == {"granian": "no answer"}


def test_notes_are_of_scenarios_that_exist():
    assert set(read_notes()) <= {one.name for one in SCENARIOS}
    assert NOTES.is_file()


def test_a_note_answers_three_questions(tmp_path):
    path = tmp_path / "notes.toml"
    path.write_text('[hello]\ntried = """a\nb"""\n')
    found = answers(read_notes(path), "hello")
    assert found[0] == "*What was tried.* a b"
    assert found[1:] == ["*What the limit is made of.* Not written yet.", "*What would be needed.* Not written yet."]
    path.write_text('[hello]\nwhy = ""\n')
    with pytest.raises(SystemExit, match="hello has why"):
        read_notes(path)


def test_pages_of_files_are_told_from_private_ones():
    smaps = (
        "55d4a000-55d4c000 r-xp 00001000 08:01 1234                       /usr/bin/a name: python\n"
        "Size:                  8 kB\nRss:                   8 kB\nAnonymous:             4 kB\nVmFlags: rd ex\n"
        "7f0000000000-7f0000001000 rw-p 00000000 00:00 0                   [heap]\n"
        "Rss:                   4 kB\nAnonymous:             4 kB\n"
    )
    assert list(_file_pages(smaps)) == [("08:01 1234 00001000", 4096)]
