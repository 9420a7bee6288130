"""deploy/kit/logs/why.py: the timeline as text; and the whole command, also in containers."""

import subprocess
import sys
import time

import pytest

from kit.logs import request, show, why
from kit.logs.request import Phase
from tests.kit.command.logs.test_request import NOTHING, back, front


@pytest.mark.parametrize(
    ("start", "duration", "drawn"),
    [(0, 1, "########"), (0.5, 0.25, "    ##  "), (0, 0, "#       "), (1, 0, "       #"), (2, 9, "       #")],
)
def test_bar_has_its_place(monkeypatch, start, duration, drawn):
    monkeypatch.setattr(why, "BAR", 8)
    assert why.draw(Phase(start, duration, "nginx", ""), 1, "#") == drawn


def test_bar_of_a_request_that_took_no_time():
    assert why.draw(Phase(0, 0, "nginx", ""), 0, "#").strip() == "#"


def test_timeline_with_its_errors():
    error = "[2026-11-29 08:30:02 +0000] [71] [ERROR] GET '/\x1b[31m': failed (request id 5c0f)"
    story = request.tell("5c0f", [front(), back(error, "Traceback (most recent call last):")])
    lines = list(why.lines(story, show.Text(has_color=False), bar="#"))
    assert lines[0].startswith("POST https://shop.example/shop from 192.0.2.7: 200 after 1.00 s")
    assert lines[2] == "    after      took  "
    assert lines[3] == "     0 ms    300 ms  " + "#" * 10 + " " * 22 + "  nginx  receives the request, 1.2 MB"
    assert "   1.00 s  app error: [71] GET '/': failed (request id 5c0f)" in lines


def test_note_ends_the_text():
    story = request.tell("5c0f", [front(upstream=""), NOTHING])
    assert list(why.lines(story, show.Text(has_color=False)))[-2:] == [
        "",
        "nginx responded without the application: a file",
    ]


def test_bar_is_ascii_where_it_has_to_be():
    assert (why._block("ascii"), why._block("utf-8")) == ("#", "█")


@pytest.mark.parametrize(
    ("identifier", "said"),
    [("", "why: ID is missing: make why ID=<the X-Request-ID of a response>\n"), ("a b", "why: ID='a b': must be")],
)
def test_id_is_required(repository, identifier, said):
    words = [sys.executable, "-I", repository / "deploy/kit", "why"]
    done = subprocess.run(words, env={"ID": identifier}, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(said)


@pytest.mark.docker
@pytest.mark.parametrize("backend", ["ropewalk", "gunicorn"])
def test_request_is_found_in_both_logs(new_stack, monkeypatch, capsys, backend):
    stack = new_stack("plain", BACKEND=backend)
    stack.up()
    identifier = stack.request("/healthz").headers["X-Request-ID"]
    environment = dict(stack.environment) | {
        "COMPOSE_PROJECT_NAME": stack.name,
        "COMPOSE_ENV_FILES": "/dev/null",
        "ID": identifier,
    }
    deadline = time.monotonic() + 20  # the server writes its log a moment later
    while "server" not in (said := _said(environment, capsys)):
        assert time.monotonic() < deadline, said
    assert said.startswith(f"GET http://127.0.0.1:{stack.port}/healthz from ")
    assert ("runs the application in worker" if backend == "ropewalk" else "handles the request in worker") in said
    assert why.why(environment | {"ID": "nowhere-0"}) == 1
    assert "no log has the request ID nowhere-0; the logs: app from 2" in capsys.readouterr().err


def _said(environment, capsys):
    assert why.why(environment) == 0
    return capsys.readouterr().out
