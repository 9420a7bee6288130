"""deploy/kit/maintenance.py: with a fake of `docker` that records what it is called with."""

import os

import pytest

from kit import maintenance
from kit.errors import KitError


@pytest.fixture
def nginx(tmp_path, monkeypatch):
    """nginx(text, complaint, status): docker's answer; its `called` returns the arguments for nginx's script."""
    monkeypatch.setattr(maintenance.compose, "prepare", dict)
    script = tmp_path / "docker"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def fake(text="", complaint="", status=0, **values):
        script.write_text(
            f"#!/bin/sh\nprintf '%s' \"$*\" >{tmp_path}/called\nprintf '%s\\n' '{text}'\n"
            f"printf '%s\\n' '{complaint}' >&2\nexit {status}\n"
        )
        script.chmod(0o755)
        return environment | values

    fake.called = lambda: (tmp_path / "called").read_text().partition("compose exec --no-TTY nginx ")[2]
    return fake


@pytest.mark.parametrize(
    ("values", "called", "said"),
    [
        ({}, "on 60", "Everybody gets the page of the maintenance  (make maintenance OFF)"),
        (
            {"ALLOW": "203.0.113.7, 2001:db8::/32", "RETRY_AFTER": "600"},
            "on 600 203.0.113.7 2001:db8::/32",
            "Everybody except 203.0.113.7, 2001:db8::/32 gets the page of the maintenance  (make maintenance OFF)",
        ),
    ],
)
def test_on(nginx, capsys, values, called, said):
    assert maintenance.maintenance("ON", nginx(**values)) == 0
    assert nginx.called() == f"/kit/bin/maintenance {called}"
    assert said in capsys.readouterr().out


def test_off(nginx, capsys):
    assert maintenance.maintenance("off", nginx()) == 0
    assert nginx.called() == "/kit/bin/maintenance off"
    assert "The site is as usual" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [("on since 2026-11-29T08:00:00Z, Retry-After: 60", 0, "on since 2026"), ("", 1, "Off: the site is as usual")],
)
def test_without_a_word_it_prints_the_state(nginx, capsys, text, status, said):
    assert maintenance.maintenance("", nginx(text, status=status)) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "complaint", "said"),
    [
        ("maybe", "", r"^'maybe': must be ON, OFF or status: make maintenance ON$"),
        ("on", 'service "nginx" is not running', "^nginx is not running: make up$"),
        ("on", "maintenance: ALLOW=x: must be addresses", "^ALLOW=x: must be addresses$"),
        ("on", "", "^nginx did not answer"),
    ],
)
def test_errors(nginx, state, complaint, said):
    with pytest.raises(KitError, match=said):
        maintenance.maintenance(state, nginx(complaint=complaint, status=2))
