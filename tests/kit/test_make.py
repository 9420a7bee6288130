"""What make prints before anything is installed."""

import os
import re
import subprocess
import sys

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
    assert listed == targets >= {"help", "run", "test", "lint", "up", "down", "logs", "times", "lock", "docs", "clean"}


@pytest.mark.parametrize("target", ["times", "run", "wheel", "test-compiled"])
@pytest.mark.parametrize("is_shim", [False, True])
def test_missing_python_is_reported(repository, tmp_path, target, is_shim):
    python = tmp_path / "python3.99"
    if is_shim:  # of pyenv, for a version that is not installed
        python.write_text("#!/bin/sh\necho 'pyenv: python3.99: command not found' >&2; exit 127\n")
        python.chmod(0o755)
    done = call(repository, "make", target, f"PYTHON={python}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{python} is not here, or does not start. Ropewalk needs Python 3.11 or newer." in done.stderr


@pytest.mark.parametrize("target", ["adopt", "look"])
def test_folder_with_letters_that_a_shell_knows_is_passed_as_it_is(repository, tmp_path, target):
    name = """it's "$HOME" & `more`"""
    done = call(repository, "make", target, "PROJECT=" + str(tmp_path / name).replace("$", "$$"))
    assert done.returncode == 2
    assert f"{target}: {'PROJECT' if target == 'adopt' else 'PROJECT_DIR'}=" in done.stderr
    assert '"$HOME" & `more`' in done.stderr


@pytest.mark.parametrize("port", ["0", "80000", "http"])
def test_port_that_is_none_is_refused_in_one_line(repository, port):
    done = call(repository, "make", "run", PORT=port)
    assert done.returncode == 2
    assert f"run: PORT='{port}': must be an integer from 1 to 65535\n" in done.stderr


def test_make_up_without_docker_says_so_and_names_the_other_way(repository, tmp_path):
    done = call(repository, sys.executable, "-I", "deploy/kit", "up", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "`make run` works without them" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.docker
def test_make_up_with_an_unknown_backend_lists_the_known_and_starts_nothing(repository):
    done = call(repository, "make", "up", BACKEND="nope")
    assert done.returncode == 2
    assert "up: BACKEND='nope': must be one of gunicorn, ropewalk\n" in done.stderr
