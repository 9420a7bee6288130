"""deploy/kit/prove: what `make prove` concludes from the traffic. With containers: tests/kit/test_prove.py."""

import xml.etree.ElementTree as ET

import pytest

from kit.errors import KitError
from kit.prove import command, picture
from kit.prove.command import Span, Step
from kit.prove.site import ProofError
from kit.prove.traffic import Outcome, Report, Request


def request(started, outcome=Outcome.OK, seconds=0.01):
    return Request(started, seconds, "GET http new", outcome, "" if outcome is Outcome.OK else "status 502")


def report(*failed):
    return Report([*(request(number / 10) for number in range(100)), *failed], 0, 0)


KILL = Span("kill a worker", 5.0, 6.0, kills=True)
DEPLOY = Span("deploy", 1.0, 3.0, kills=False)


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
    assert "0 failed of 101, slowest 0.010 s; 1 died with the worker that was killed" in capsys.readouterr().out


def test_more_than_a_worker_can_run_is_a_failure():
    died = [request(5.5, Outcome.RESET) for _ in range(17)]
    assert command.conclude(report(*died), [KILL], 1) == 1


@pytest.mark.parametrize(
    ("started", "seconds", "died"), [(4.9, 0.05, 0), (4.9, 0.2, 1), (6.9, 0.01, 1), (7.1, 0.01, 0)]
)
def test_only_what_was_on_its_way_died_with_it(started, seconds, died):
    assert len(command.split(report(request(started, Outcome.ERROR, seconds)), [KILL])[1]) == died


def test_step_that_fails_shows_what_it_printed(monkeypatch, capsys):
    monkeypatch.setattr(command, "QUIET", 0)

    def fail(_site):
        raise ProofError("deploy: exit status 1 instead of 0", ["the reason"])

    assert command.run_step(Step("deploy", fail), None, 0.0, lambda: 0) is None
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


def test_proof_for_a_swarm_is_another_command():
    with pytest.raises(
        KitError, match=r"^TARGET='swarm': the proof for a swarm is make swarm-test, with nodes of its own$"
    ):
        command.prove({"TARGET": "swarm", "COMPOSE_ENV_FILES": "/dev/null"})
