"""deploy/app/cron.py: the container that runs lines at their times."""

import os
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

import cron
import crontab
from tests.helpers.processes import wait_until


class Clock(datetime):
    """A day has passed at each look."""

    looks = 0

    @classmethod
    def now(cls, tz=None):
        cls.looks += 1
        return datetime(2026, 1, 1, tzinfo=tz) + timedelta(days=cls.looks)


@pytest.fixture
def runs(tmp_path):
    runs = cron.Runs(tmp_path / "cron.failed")
    yield runs
    runs.drain(0)


def finish(runs):
    runs.drain(30)


def job(command, name="job", **variables):
    return crontab.Job(name, "* * * * *", command, 1, UTC, variables)


def test_output_has_the_name_of_its_line(runs, capsys):
    runs.start(job('echo "$A"; echo error >&2; printf end', A="one\ntwo"))
    finish(runs)
    *lines, last = capsys.readouterr().out.splitlines()
    of_job = [line for line in lines if line.startswith("[job]")]  # between them may be the line that it stops
    assert of_job == ["[job] one", "[job] two", "[job] error", "[job] end"]
    assert re.fullmatch(r"cron: job done after \d+\.\d+ s", last)


def test_failure_is_kept_until_a_run_succeeds(runs, tmp_path, capsys):
    failed = tmp_path / "cron.failed"
    runs.start(job("exit 3"))
    runs.start(job("kill -9 $$", "other"))
    finish(runs)
    output = capsys.readouterr().out
    assert "cron: error: job ended with exit status 3 after" in output
    assert sorted(line.split(" after")[0] for line in failed.read_text().splitlines()) == [
        "job ended with exit status 3",
        "other ended with signal SIGKILL",
    ]
    for name in ("job", "other"):
        runs.start(job("true", name))
    finish(runs)
    assert not failed.exists()


def test_line_that_still_runs_is_left_out(runs, tmp_path, capsys):
    runs.start(job(f"echo run; until [ -e {tmp_path}/go ]; do sleep 0.01; done"))
    runs.start(job("echo run"))
    (tmp_path / "go").touch()
    finish(runs)
    output = capsys.readouterr().out
    assert output.count("[job] run") == 1
    assert "cron: warning: job is due again, but still runs: left out\n" in output


def test_what_does_not_end_in_time_is_ended_with_its_children(runs, capsys):
    runs.start(job("sh -c 'echo started; exec sleep 60' & wait"))
    wait_until(lambda: "started" in capsys.readouterr().out, "it runs")
    runs.drain(0)
    output = capsys.readouterr().out
    assert "cron: warning: job still runs: ending it\n" in output
    assert "cron: error: job ended with signal SIGTERM" in output


def test_lines_run_when_they_are_due(monkeypatch):
    monkeypatch.setattr(cron, "datetime", Clock)
    stop, started = threading.Event(), []

    class Runs:
        def start(self, each):
            started.append(each.name)
            if len(started) == 4:
                stop.set()

    stop.wait = lambda seconds: stop.is_set()
    cron.run(crontab.read("@daily a\n@monthly b\n"), Runs(), stop)
    assert started[:3] == ["a", "a", "a"]


def test_lines_come_from_the_variable_or_from_the_project(tmp_path):
    (tmp_path / "crontab").write_text("@daily b\n")
    assert cron.source({"CRON": "@daily a"}, tmp_path) == ("@daily a", "CRON")
    assert cron.source({"CRON": " "}, tmp_path) == ("@daily b\n", "crontab")


@pytest.mark.parametrize(
    ("lines", "status", "said"),
    [
        ("@daily true", 0, ""),
        (
            "* * * true",
            2,
            "cron: CRON: line 1: '* * * true': must be five fields, or a word such as @daily, and a command\n",
        ),
        ("", 2, "cron: the profile cron is on, but CRON is not set and the project has no file crontab\n"),
    ],
)
def test_check_is_one_line(repository, tmp_path, lines, status, said):
    program = str(repository / "deploy/app/cron.py")
    script = f"import runpy, sys; sys.argv = ['cron', '--check']; runpy.run_path({program!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"CRON": lines, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (status, said)
