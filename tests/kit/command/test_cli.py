"""deploy/kit as a program: from any folder, with any Python."""

import ast
import json
import os
import subprocess
import sys

import pytest

from kit import cli
from kit.commands import COMMANDS
from kit.errors import KitError


def kit(repository, *arguments, folder="/"):
    command = [sys.executable, "-I", repository / "deploy/kit", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=30)


def test_command_runs_in_any_folder_and_imports_no_module_there(repository, tmp_path):
    for name in ("kit", "argparse", "compose", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    done = kit(repository, "times", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "STOP_GRACE=45\n" in done.stdout


def test_help_lists_every_command(repository):
    done = kit(repository, "--help")
    assert done.returncode == 0
    for name, command in COMMANDS.items():
        assert name in done.stdout
        assert command.help.split()[0] in done.stdout


@pytest.mark.parametrize("arguments", [[], ["nope"], ["up", "more"], ["venv"]])
def test_wrong_use_is_refused_with_status_2(repository, arguments):
    done = kit(repository, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_python_that_is_too_old_is_named_with_its_version(repository):
    script = "import runpy, sys; sys.version_info = (3, 9, 2); runpy.run_path('deploy/kit', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"Ropewalk needs Python 3.11 or newer; {sys.executable} is Python 3.9.2.",
        "If a newer one has another name, pass it: make PYTHON=python3.13 ...",
    ]


def test_what_refuses_an_old_python_can_be_read_by_it(repository):
    ast.parse((repository / "deploy/kit/__main__.py").read_text(), feature_version=(3, 4))


def test_look_prints_what_it_finds_in_another_folder(repository, tmp_path):
    (tmp_path / "app.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    done = kit(repository, "look", ".", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "application   app:app (app.py:2)\n" in done.stdout
    assert json.loads(kit(repository, "look", str(tmp_path), "--json").stdout)["application"]["value"] == "app:app"


def test_look_without_an_application_ends_with_the_line_to_add(repository, tmp_path):
    done = kit(repository, "look", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("look: no WSGI application was found")
    assert done.stderr.endswith("\nWSGI_APP=package.module:callable\n")


def test_build_ends_at_once_if_the_project_wants_another_python(repository, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.99"\n')
    done = kit(repository, "install", "--project", str(tmp_path), "--copy-to", str(tmp_path / "lists"))
    assert done.returncode == 2
    assert "pyproject.toml wants Python >=3.99, but the image's Python is 3." in done.stderr
    assert "BASE_IMAGE=" in done.stderr


def test_wish_for_another_python_is_said(repository, tmp_path):
    (tmp_path / ".python-version").write_text("3.9.1\n")
    done = kit(repository, "install", "--project", str(tmp_path), "--copy-to", str(tmp_path / "lists"))
    assert done.returncode == 0
    assert "==> .python-version names Python 3.9.1; the image's Python is 3." in done.stdout


def test_checkout_that_cannot_be_written_is_one_line(repository, tmp_path, monkeypatch, capsys):
    def refuse(options):
        raise PermissionError(13, "Permission denied", "/srv/ropewalk/.env.new")

    monkeypatch.setitem(COMMANDS, "down", COMMANDS["down"]._replace(call=refuse))
    assert cli.main(["down"]) == 2
    assert capsys.readouterr().err == "down: /srv/ropewalk/.env.new: Permission denied\n"


def test_reader_that_ends_first_is_no_traceback(repository):
    command = [sys.executable, "-I", repository / "deploy/kit", "times"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=30)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


REFUSED = {"remove", "bench-deploy", "backup", "restore", "backup-check"}


def test_each_command_says_what_it_does_in_a_swarm():
    """None acts on compose without a word."""
    undecided = {name for name, command in COMMANDS.items() if command.in_swarm is None and not command.is_local}
    assert undecided == set()
    said = {name: command.in_swarm for name, command in COMMANDS.items()}
    assert {name for name, text in said.items() if text and isinstance(text, str)} == REFUSED


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_command_that_is_not_for_a_swarm_is_one_line(repository, name, tmp_path):
    environment = {"PATH": str(tmp_path), "TARGET": "swarm", "COMPOSE_ENV_FILES": "/dev/null"}
    command = [sys.executable, "-I", repository / "deploy/kit", name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{name}: not for TARGET=swarm: {COMMANDS[name].in_swarm}\n"


def test_target_chooses_the_function(tmp_path):
    command = COMMANDS["logs"]
    nowhere = {"COMPOSE_ENV_FILES": "/dev/null"}
    assert command.function(nowhere) is command.call
    assert command.function({**nowhere, "TARGET": "swarm"}) is command.in_swarm
    file = tmp_path / "env"
    file.write_text("TARGET=swarm\n")
    assert command.function({"COMPOSE_ENV_FILES": str(file)}) is command.in_swarm
    in_cluster = {**nowhere, "TARGET": "kubernetes"}
    assert COMMANDS["deploy"].function(in_cluster) is COMMANDS["deploy"].call
    for name, text in (("logs", "docs/kubernetes.md has what"), ("down", "kubectl scale deployment/app --replicas=0")):
        with pytest.raises(KitError, match=f"^not for TARGET=kubernetes: {text}"):
            COMMANDS[name].function(in_cluster)
    with pytest.raises(KitError, match=r"^TARGET='nomad': must be one of compose, swarm, kubernetes$"):
        command.function({**nowhere, "TARGET": "nomad"})
    # what needs no engine needs no target either, such as the image's build
    assert COMMANDS["install"].function({"TARGET": "nomad"}) is COMMANDS["install"].call
