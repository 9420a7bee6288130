"""deploy/kit/doctor/command.py: the findings printed, and probes that fail."""

import json
import subprocess
import sys
import threading

import pytest

from kit.doctor import command
from kit.doctor.findings import Finding, Severity, Topic, has_errors
from kit.doctor.probes import in_background, is_debugging
from kit.errors import KitError

TOPIC = Topic("disk")


def test_finding_is_a_line_with_its_mend_below():
    assert list(command.lines(TOPIC.warning("it is full\x1b[31m", "make prune"), color=False)) == [
        "warning  disk           it is full",
        "                        mend: make prune",
    ]
    assert list(command.lines(TOPIC.ok("fine"), color=True)) == ["\033[32mok      \033[0m disk           fine"]


def test_finding_for_programs():
    assert json.loads(command.to_json(TOPIC.error("full", "make prune"))) == {
        "topic": "disk",
        "severity": "error",
        "what": "full",
        "mend": "make prune",
    }


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([], "Nothing is wrong."),
        ([TOPIC.ok("x"), TOPIC.note("y")], "Nothing is wrong."),
        ([TOPIC.error("x", "y")], "1 error, no warnings."),
        ([TOPIC.warning("x", "y")] * 2, "no errors, 2 warnings."),
    ],
)
def test_summary(found, text):
    assert command.summary(found) == text


@pytest.mark.parametrize("error", [KitError("no container of app runs"), KeyError("x"), ValueError("a\nb")])
def test_probe_that_fails_is_a_finding(error):
    def check(_):
        yield TOPIC.ok("the first")
        raise error

    first, second = command.guarded("disk", check, None)
    assert first.severity is Severity.OK
    assert (second.topic, second.severity) == ("disk", Severity.NOTE)
    assert second.what.startswith("not checked: ")
    assert "\n" not in second.what


@pytest.fixture
def doctor(monkeypatch, capsys):
    """doctor(findings): the exit status and what is printed."""

    def call(*found, as_json=False):
        monkeypatch.setattr(command, "examine", lambda *_: iter(found))
        return command.doctor({}, as_json=as_json), capsys.readouterr().out

    return call


def test_only_an_error_changes_the_exit_status(doctor):
    assert doctor(TOPIC.warning("x", "y"))[0] == 0
    assert doctor(TOPIC.error("x", "y"))[0] == 1
    assert not has_errors([Finding("disk", Severity.NOTE, "x")])


def test_json_is_one_object_a_line(doctor):
    _, out = doctor(TOPIC.ok("x"), TOPIC.ok("y"), as_json=True)
    assert [json.loads(line)["what"] for line in out.splitlines()] == ["x", "y"]


class Slow:
    """A site of which one answer takes its time, until another check has been made."""

    def __init__(self, _):
        self.other = threading.Event()

    def ask_ahead(self):
        self.asked = in_background(lambda: self.other.wait(30))

    def first(self):
        self.other.set()
        return iter([TOPIC.ok("first")])

    def last(self):
        return iter([TOPIC.ok(str(self.asked.result(30)))])


def test_slow_question_is_asked_while_other_checks_are_made(monkeypatch):
    monkeypatch.setattr(command, "Site", Slow)
    monkeypatch.setattr(command, "CHECKS", {"one": Slow.first, "two": Slow.last})
    shown = []
    assert [finding.what for finding in command.examine({}, shown.append)] == ["first", "True"]
    assert shown == ["configuration", "one", "two"]


def test_failure_in_the_background_is_raised_where_the_answer_is_read():
    with pytest.raises(KitError, match="no server"):
        in_background(fail).result(30)


def fail():
    raise KitError("no server")


def test_terminal_shows_what_is_being_checked(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")

    def examine(_, progress):
        progress("updates")
        yield TOPIC.ok("x")

    monkeypatch.setattr(command, "examine", examine)
    command.doctor({})
    assert capsys.readouterr().out.startswith(f"{command.ERASE}... updates{command.ERASE}")


def test_settings_that_are_refused_are_a_finding(repository, tmp_path):
    (tmp_path / "docker").write_text("#!/bin/sh\n[ \"$*\" = 'compose version --short' ] && echo 2.26.1\nexit 0\n")
    (tmp_path / "docker").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "COMPOSE_ENV_FILES": "/dev/null", "BACKEND": "nope"}
    words = [sys.executable, "-I", repository / "deploy/kit", "doctor", "--json"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["what"] == "BACKEND='nope': must be one of gunicorn, ropewalk"


@pytest.mark.parametrize(
    ("output", "debugging"),
    [
        (None, None),
        ("Traceback ...", None),
        ("System check identified no issues", False),
        ("(security.W018) ...\nSystem check identified 1 issue", True),
    ],
)
def test_debug_is_what_django_s_check_says(output, debugging):
    assert is_debugging(output) is debugging


@pytest.mark.docker
def test_site_that_has_just_started_has_no_error_and_every_probe_an_answer(new_stack):
    stack = new_stack("sample")
    stack.up()
    environment = dict(stack.environment) | {"COMPOSE_PROJECT_NAME": stack.name, "COMPOSE_ENV_FILES": "/dev/null"}
    found = list(command.examine(environment))
    assert not has_errors(found), found
    assert {finding.topic for finding in found} == set(command.CHECKS)
    # without a network, the updates are not known
    unknown = [finding for finding in found if "not known" in finding.what or "not checked" in finding.what]
    assert {finding.topic for finding in unknown} <= {"updates"}, unknown
