"""deploy/kit/consoles.py: make manage, make shell, make dbshell; the containers have the real ones."""

import os
import pty
import re
import subprocess
import sys

import pytest

from kit import consoles
from kit.errors import KitError
from tests.kit.command.test_containers import inspected


def test_command_is_split_as_a_shell_does():
    assert consoles.split("loaddata 'my data.json' --verbosity 2") == ["loaddata", "my data.json", "--verbosity", "2"]
    assert consoles.split("") == []


def test_quote_that_is_not_closed_is_refused():
    with pytest.raises(KitError, match=re.escape("""CMD="shell 'a": no closing quotation""")):
        consoles.split("shell 'a")


def test_terminal_is_passed_on_with_its_settings_only_if_there_is_one():
    variables = {"TERM": "xterm", "PATH": "/bin", "COLUMNS": ""}
    assert consoles.options(variables, is_terminal=True) == ["--interactive", "--tty", "--env=TERM=xterm"]
    assert consoles.options(variables, is_terminal=False) == ["--interactive"]


@pytest.fixture
def replaced(monkeypatch):
    """What would take the place of the process."""
    words = []
    monkeypatch.setattr(consoles.compose, "prepare", dict)
    monkeypatch.setattr(consoles.containers, "application", lambda _: consoles.containers.read([inspected("app")])[0])
    monkeypatch.setattr(consoles.processes, "replace", lambda command, _: words.extend(command))
    monkeypatch.setattr(consoles, "is_terminal", lambda: False)
    return words


def test_manage_runs_in_the_application_s_container_by_its_entrypoint(replaced):
    consoles.manage({"CMD": "createsuperuser --noinput"})
    expected = "docker exec --interactive id-of-app /kit/bin/entrypoint /kit/bin/project_console.py manage"
    assert replaced == [*expected.split(), "createsuperuser", "--noinput"]


def test_both_ends_have_to_be_a_terminal():
    code = "import sys; sys.path.insert(0, 'deploy'); sys.path.insert(0, 'deploy/app')\n"
    code += "from kit import consoles; sys.exit(10 + consoles.is_terminal())"
    reading, terminal = pty.openpty()
    try:
        for output, expected in ((terminal, 11), (subprocess.DEVNULL, 10)):
            done = subprocess.run(
                [sys.executable, "-c", code], stdin=terminal, stdout=output, cwd=consoles.compose.ROOT, timeout=30
            )
            assert done.returncode == expected
    finally:
        os.close(reading)
        os.close(terminal)
