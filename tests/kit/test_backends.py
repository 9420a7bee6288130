"""A backend is one folder. These tests add a third one to a copy of the checkout, and change nothing else there."""

import json
import secrets
import shutil
import subprocess
import sys
import urllib.request

import pytest
import yaml

from kit.variables import declared

KNOWN = ["gunicorn", "ropewalk"]


@pytest.fixture
def checkout(repository, tmp_path):
    """A copy of what the images are built from, with the folder of waitress added."""
    ignored = shutil.ignore_patterns("__pycache__", "data", "*.egg-info")
    for name in ("deploy", "nginx", "sample_project", "server"):
        shutil.copytree(repository / name, tmp_path / name, ignore=ignored)
    for name in (".dockerignore", "Dockerfile", "docker-compose.yml"):
        shutil.copy(repository / name, tmp_path)
    shutil.copytree(repository / "tests/kit/backends/waitress", tmp_path / "deploy/backends/waitress")
    return tmp_path


@pytest.mark.parametrize("name", KNOWN)
def test_folder_has_a_command_and_the_lines_of_compose(repository, name):
    folder = repository / "deploy/backends" / name
    command = folder / "command"
    assert command.stat().st_mode & 0o111
    # a shell in front would swallow TERM
    assert "\nexec " in command.read_text()
    service = yaml.safe_load((folder / "compose.yml").read_text())["services"]["app"]
    assert service["environment"]["BACKEND"] == name


def test_folders_are_all_that_is_known(repository, compose_file):
    assert sorted(path.name for path in (repository / "deploy/backends").iterdir()) == KNOWN
    default = declared()["BACKEND"].default
    assert compose_file["services"]["app"]["extends"]["file"] == "deploy/compose/project-${PROJECT_PLACE:-inside}.yml"
    extended = yaml.safe_load((repository / "deploy/compose/project-inside.yml").read_text())["services"]["app"][
        "extends"
    ]
    assert extended == {"file": f"../backends/${{BACKEND:-{default}}}/compose.yml", "service": "app"}


@pytest.mark.parametrize("name", KNOWN)
def test_requirements_are_locked_with_hashes(repository, name):
    listed, locked = ((repository / "deploy/backends" / name / f"requirements.{kind}") for kind in ("in", "txt"))
    assert listed.exists() == locked.exists()
    if locked.exists():
        assert "--hash=sha256:" in locked.read_text()


def test_packages_of_the_backend_come_first_for_it_alone(repository, tmp_path):
    """The folders of the image, in another place."""
    serve = (repository / "deploy/app/serve").read_text()
    for place in ("/opt/backends", "/kit/backends"):
        serve = serve.replace(place, f"{tmp_path}{place}")
        (tmp_path / place[1:] / "one").mkdir(parents=True)
    (tmp_path / "kit/backends/two").mkdir()
    for name in ("one", "two"):
        command = tmp_path / "kit/backends" / name / "command"
        command.write_text('#!/bin/sh\necho "$PATH $PYTHONPATH"\n')
        command.chmod(0o755)

    def paths(backend):
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "/app", "BACKEND": backend}
        return subprocess.run(
            ["bash", "-c", serve], env=environment, capture_output=True, text=True, check=True, timeout=30
        ).stdout

    packages = tmp_path / "opt/backends/one"
    assert paths("one") == f"{packages}/bin:/usr/bin:/bin {packages}:/app\n"
    assert paths("two") == "/usr/bin:/bin /app\n"


def fetch(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as response:
        return response.read()


@pytest.mark.docker
def test_added_backend_serves_the_sample_is_well_and_stops(checkout, new_stack, execute):
    image = f"ropewalk-test-third:{secrets.token_hex(4)}"
    stack = new_stack("sample", APP_IMAGE=image)

    def kit(*arguments, check=True, **variables):
        command = [sys.executable, "-I", str(checkout / "deploy/kit"), "compose", "--project-name", stack.name]
        environment = {**stack.environment, "BACKEND": "waitress", "COMPILED": "0", **variables}
        done = subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    try:
        kit("build", "app")
        kit("up", "--no-build", "--wait", "--wait-timeout", "120")
        app = kit("ps", "--quiet", "app").stdout.strip()
        port = int(kit("port", "nginx", "8080").stdout.strip().rpartition(":")[2])
        assert json.loads(fetch(port, "/api/served-by"))["backend"] == "waitress"
        assert b"<!doctype html>" in fetch(port, "/")
        health = ("docker", "inspect", "--format", "{{.State.Health.Status}}", app)
        assert execute(*health).stdout == "healthy\n"
        refused = kit("ps", check=False, BACKEND="nope")
        assert refused.stderr == "compose: BACKEND='nope': must be one of gunicorn, ropewalk, waitress\n"
        kit("stop", "app")
        assert execute("docker", "inspect", "--format", "{{.State.ExitCode}}", app).stdout == "0\n"
    finally:
        execute("docker", "image", "rm", "--force", image, check=False)
