"""deploy/kit/prove: what `make prove` concludes from the traffic. With containers: tests/kit/test_prove.py."""

import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

from kit.prove import command, picture, table
from kit.prove.command import Step
from kit.prove.site import ProofError
from kit.prove.table import Span
from kit.prove.traffic import Outcome, Report, Request


def request(started, outcome=Outcome.OK, seconds=0.01):
    return Request(started, seconds, "GET http new", outcome, "" if outcome is Outcome.OK else "status 502")


def report(*failed):
    return Report([*(request(number / 10) for number in range(100)), *failed], 0, 0)


KILL = Span("kill a worker", 5.0, 6.0, kills_until=7.0)
DEPLOY = Span("deploy", 1.0, 3.0)


@pytest.fixture(autouse=True)
def picture_file(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "PICTURE", tmp_path / "out/prove.svg")
    return tmp_path / "out/prove.svg"


def test_nothing_lost(capsys, picture_file):
    assert command.conclude(report(), [DEPLOY, KILL], 2) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("0 failed of 100, slowest 0.010 s")
    assert picture_file.exists()


def test_one_lost_request_is_a_failure(capsys):
    assert command.conclude(report(request(2.0, Outcome.ERROR)), [DEPLOY, KILL], 2) == 1
    assert "1 failed of 101" in capsys.readouterr().out


def test_step_that_did_not_do_its_work_is_a_failure():
    assert command.conclude(report(), [DEPLOY], 2) == 1


def test_request_that_died_with_its_worker_is_counted_apart(capsys):
    assert command.conclude(report(request(5.5, Outcome.ERROR)), [DEPLOY, KILL], 2) == 0
    assert "0 failed of 101, slowest 0.010 s; 1 ended with what was killed while it ran them" in capsys.readouterr().out


def test_more_than_a_worker_can_run_is_a_failure():
    died = [request(5.5, Outcome.RESET) for _ in range(17)]
    assert command.conclude(report(*died), [KILL], 1) == 1


@pytest.mark.parametrize(
    ("started", "seconds", "died"), [(4.9, 0.05, 0), (4.9, 0.2, 1), (6.9, 0.01, 1), (7.1, 0.01, 0)]
)
def test_only_what_was_on_its_way_died_with_it(started, seconds, died):
    assert len(table.split(report(request(started, Outcome.ERROR, seconds)), [KILL])[1]) == died


def test_step_that_fails_shows_what_it_printed(monkeypatch, capsys):
    monkeypatch.setattr(command, "QUIET", 0)

    def fail(_site):
        raise ProofError("deploy: exit status 1 instead of 0", ["the reason"])

    assert command.run_step(Step("deploy", fail), SimpleNamespace(), 0.0, lambda: 0) is None
    assert capsys.readouterr().err == "    the reason\n    prove: deploy: deploy: exit status 1 instead of 0\n"


def test_picture_has_every_second_and_every_step():
    drawn = picture.draw(report(request(2.5, Outcome.ERROR)), [("deploy <1>", 1.0, 3.0), ("kill", 5.0, 5.001)])
    root = ET.fromstring(drawn)
    boxes = [each.get("class") for each in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert (boxes.count("ok"), boxes.count("bad"), boxes.count("slow"), boxes.count("step")) == (10, 1, 10, 2)
    texts = "".join(root.itertext())
    assert "1 failed of 101 requests" in texts
    assert "deploy <1>, 2.0 s" in texts


def test_picture_without_a_request():
    ET.fromstring(picture.draw(Report([], 0, 0), []))


def test_table_has_each_request_once_in_the_step_that_had_begun_last():
    said = report(request(2.0, Outcome.ERROR), request(4.9, Outcome.RESET, seconds=0.5), request(9.0, seconds=3.0))
    assert table.lines(said, [DEPLOY, KILL])[2:] == [
        "| deploy | 2 | 51 | 1 | 0 | 0.01 s |",
        "| kill a worker | 1 | 52 | 0 | 1 | 3.00 s |",
    ]


@pytest.mark.parametrize("killed", [None, 0.25])
def test_only_what_began_before_the_kill_may_end_with_it(monkeypatch, killed):
    monkeypatch.setattr(command, "QUIET", 0)
    site = SimpleNamespace()
    span = command.run_step(Step("kill", lambda site: setattr(site, "killed", killed), kills=True), site, 0.0, int)
    assert span.kills_until == (killed or span.ended + command.IN_FLIGHT)


@pytest.mark.parametrize("variables", [{}, {"QUICK": "1"}])
def test_short_form_leaves_out_what_is_long(variables):
    chosen = command.choose(variables, command.STEPS, ())
    assert bool(variables) != any(step.is_long for step in chosen)
