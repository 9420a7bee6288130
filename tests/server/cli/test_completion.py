"""Completion in the shells themselves: what each of them offers for the beginning of a command."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ropewalk.cli.completion import command_options, script, server_options
from ropewalk.cli.control_client import make_parser
from ropewalk.config.flags import COMMANDS
from ropewalk.config.settings import SHELLS, all_settings
from tests.helpers.terminals import OnTerminal

pytestmark = pytest.mark.shells

BASH = """\
source ropewalk.bash
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_ropewalk 2>/dev/null  # compopt works only while something is completed
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

KEY_ENTER = b"\r"

Offer = Callable[[str], set[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("shop.py", "site/wsgi.py", "notes.txt", "$(touch ran).py", "certs/a.pem"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for shell in SHELLS:
        (tmp_path / f"ropewalk.{shell}").write_text(script(shell))
    return tmp_path


def run(project: Path, *command: str) -> str:
    env = {**os.environ, "HOME": str(project), "XDG_CONFIG_HOME": str(project / ".none")}
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


@pytest.fixture
def bash(project: Path) -> Offer:
    """What bash offers for a line that ends in the word to complete; "" after a space."""

    def offer(line: str) -> set[str]:
        words = " ".join(f"'{word}'" for word in re.split(r" |(?=[=:])|(?<=[=:])", line))  # = and : are words
        return set(run(project, "bash", "--norc", "-c", BASH.format(words=words)).split("\n")) - {""}

    return offer


@pytest.fixture
def fish(project: Path) -> Offer:
    """As `bash`, for fish."""

    def offer(line: str) -> set[str]:
        lines = run(project, "fish", "--no-config", "-c", f"source ropewalk.fish; complete -C '{line}'").splitlines()
        return {each.partition("\t")[0] for each in lines}

    return offer


SHELLS_THAT_ANSWER = ("bash", "fish")


@pytest.fixture(params=SHELLS_THAT_ANSWER)
def offer(request: pytest.FixtureRequest) -> Offer:
    offer: Offer = request.getfixturevalue(request.param)
    return offer


def test_every_option_is_completed(offer: Offer) -> None:
    long = {flag for setting in all_settings() for flag in setting.declaration.flags if flag.startswith("--")}
    assert long | {"--help", "--help-all", "--version"} == {
        flag for flag in offer("ropewalk --") if flag.startswith("--")
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_a_command_are_its_own(offer: Offer, command: str) -> None:
    known = {flag for action in make_parser(command)._actions for flag in action.option_strings}
    assert {flag for flag in offer(f"ropewalk {command} --") if flag.startswith("--")} == {
        flag for flag in known if flag.startswith("--")
    }


def test_first_word_is_a_command_or_a_module(offer: Offer) -> None:
    assert {*COMMANDS, "shop", "site.wsgi"} <= offer("ropewalk ")
    assert {"site.wsgi"} <= offer("ropewalk --workers 2 si")
    assert "notes" not in offer("ropewalk n")


@pytest.mark.parametrize("separator", [" ", "="])
def test_values_of_a_choice_are_completed(offer: Offer, separator: str) -> None:
    found = {each.removeprefix("--log-level=") for each in offer(f"ropewalk --log-level{separator}")}
    assert found == {"debug", "info", "warning", "error", "critical"}
    assert {each.removeprefix("--log-level=") for each in offer(f"ropewalk --log-level{separator}de")} == {"debug"}


def test_files_and_directories_are_completed(offer: Offer) -> None:
    assert {"notes.txt"} == offer("ropewalk --config no")
    assert {each.rstrip("/") for each in offer("ropewalk --chdir c")} == {"certs"}
    assert {"notes.txt"} == offer("ropewalk status --control-socket no")


def test_value_that_only_the_user_knows_is_left_alone(offer: Offer) -> None:
    assert offer("ropewalk --workers ") == set()


@pytest.mark.parametrize("module", ["shop", "site.wsgi", "store"])
def test_names_of_a_module_are_completed(bash: Offer, project: Path, module: str) -> None:
    path = project / ("store/__init__.py" if module == "store" else f"{module.replace('.', '/')}.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "import os\nDEBUG = True\nif DEBUG == 1:\n    inner = 2\napp = Flask('x')\napi: WSGI = wrap(app)\n"
        "def application(environ, start_response):\n    pass\nprint(5)\nprint == 5\n$(touch ran) = 1\n_own = 1\n"
    )
    assert bash(f"ropewalk {module}:") == {"app", "api", "application"}
    assert bash(f"ropewalk --workers 2 {module}:app") == {"app", "application"}
    assert bash("ropewalk --bind 127.0.0.1:") == bash("ropewalk nothing:") == set()
    assert not (project / "ran").exists()


def test_name_of_a_file_is_not_run(bash: Offer, project: Path) -> None:
    assert "shop" in bash("ropewalk s")
    assert "shop" in bash("ropewalk ")
    assert not (project / "ran").exists()


@pytest.fixture
def zsh(project: Path) -> Iterator[OnTerminal]:
    """An interactive zsh, which completes only what is typed, and a command that prints its arguments."""
    env = {**os.environ, "TERM": "dumb", "HOME": str(project), "ZDOTDIR": str(project)}
    program = OnTerminal(["zsh", "-f", "-i"], cwd=project, env=env)
    program.press(b"ropewalk() print -r -- got: $*; autoload -U compinit; compinit -u -D; ")
    program.press(b"source ropewalk.zsh; echo r''eady" + KEY_ENTER)
    program.wait_text("\nready")
    yield program
    program.close()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("--log-le\tw\t", "--log-level=warning"),
        ("--log-level deb\t", "--log-level debug"),
        ("health\t", "healthcheck"),
        ("sho\t", "shop"),
        ("--workers 2 site\t", "--workers 2 site.wsgi"),
        ("--config note\t", "--config notes.txt"),
        ("--chdir cer\t", "--chdir certs"),
        ("stop --qui\t", "stop --quick"),
    ],
)
def test_zsh_completes(zsh: OnTerminal, typed: str, completed: str) -> None:
    zsh.press(f"ropewalk {typed}".encode() + KEY_ENTER)
    assert zsh.wait_text(r"\ngot: (.*\S) *\n")[1] == completed


def test_every_shell_accepts_its_script(project: Path) -> None:
    for shell in SHELLS:
        assert run(project, shell, "-n", f"ropewalk.{shell}") == ""


def test_options_are_those_of_the_parsers() -> None:
    (level,) = (option for option in server_options() if "--log-level" in option.flags)
    assert (level.values[0], level.metavar) == ("debug", "LEVEL")
    (workers,) = (option for option in server_options() if "-w" in option.flags)
    assert (workers.flags, workers.values, workers.is_file) == (("-w", "--workers"), (), False)
    (json,) = (option for option in command_options("status") if "--json" in option.flags)
    assert json.metavar == ""
