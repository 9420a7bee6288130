"""What make and its scripts say before anything is installed."""

import os
import re
import subprocess

import pytest


def call(repository, *command, **variables):
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    return subprocess.run(
        command, cwd=repository, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_help_lists_every_target_that_a_user_may_name(repository):
    makefile = (repository / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (\S+)$", makefile, re.M))
    done = call(repository, "make", "--no-print-directory")
    listed = set(re.findall(r"^  \x1b\[1m(\S+)\s*\x1b\[0m \S", done.stdout, re.M))
    assert listed == targets >= {"help", "run", "test", "lint", "up", "down", "logs", "lock", "docs", "clean"}


@pytest.fixture
def old_python(tmp_path):
    script = tmp_path / "python3"
    script.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    script.chmod(0o755)
    return str(script)


def test_python_that_is_too_old_is_named_with_its_version(repository, tmp_path, old_python):
    done = call(repository, "deploy/kit/python-environment", str(tmp_path / "venv"), PYTHON=old_python)
    assert done.returncode == 1
    assert f"Ropewalk needs Python 3.11 or newer; {old_python} is Python 3.9.2." in done.stderr


def test_missing_python_is_said(repository, tmp_path):
    done = call(repository, "deploy/kit/python-environment", str(tmp_path / "venv"), PYTHON="python-nowhere")
    assert done.returncode == 1
    assert done.stderr == "There is no python-nowhere here. Ropewalk needs Python 3.11 or newer.\n"


def test_python_without_ensurepip_is_told_what_to_install(repository, tmp_path):
    script = tmp_path / "python3"
    script.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\nexit 0\n')
    script.chmod(0o755)
    done = call(repository, "deploy/kit/python-environment", str(tmp_path / "venv"), PYTHON=str(script))
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr


@pytest.mark.parametrize("port", ["0", "80000", "http"])
def test_port_that_is_none_is_refused_in_one_line(repository, port):
    done = call(repository, "deploy/kit/local", PORT=port)
    assert done.returncode == 2
    assert done.stderr == f"make run: PORT '{port}': a whole number from 1 to 65535\n"


def test_make_up_without_docker_says_so_and_names_the_other_way(repository, tmp_path):
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "dirname", "env"):
        (tmp_path / "bin" / tool).symlink_to(subprocess.check_output(["which", tool], text=True).strip())
    done = call(repository, "deploy/kit/compose", "up", PATH=str(tmp_path / "bin"))
    assert done.returncode == 2
    assert "`make run` needs neither" in done.stderr


@pytest.mark.docker
def test_make_up_with_an_unknown_backend_lists_the_known_and_starts_nothing(repository):
    done = call(repository, "deploy/kit/compose", "up", BACKEND="nope")
    assert (done.returncode, done.stderr) == (2, "compose: BACKEND 'nope': one of gunicorn ropewalk\n")
