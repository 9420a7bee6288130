"""deploy/kit/stack.py: `make up` with a small fake of docker."""

import json
import os

import pytest

from kit import clashes, stack

MODEL = json.dumps({"name": "shop", "services": {"nginx": {"ports": []}}})
UNIX = "unix:///run/docker.sock"


def container(service, **state):
    labels = {"com.docker.compose.service": service}
    return {"Id": service, "Config": {"Labels": labels}, "State": {"Status": "exited", "StartedAt": "1", **state}}


@pytest.fixture
def docker(tmp_path):
    """docker(commands): an environment with a `docker` that answers with (text, exit status)."""

    def fake(commands):
        known = {
            "compose version --short": ("2.26.1", 0),
            "info": ("", 0),
            "version --format {{.Server.Version}}": ("26.1.5", 0),
            "compose config --format json": (MODEL, 0),
            "context inspect --format {{.Endpoints.docker.Host}}": (UNIX, 0),
            " ".join(clashes.LIST): ("", 0),
            **commands,
        }
        cases = ""
        for number, (words, (text, status)) in enumerate(known.items()):
            (tmp_path / f"said-{number}").write_text(text)
            cases += f"'{words}') cat {tmp_path}/said-{number}; exit {status} ;;\n"
        script = tmp_path / "bin/docker"
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}*) exit 99 ;;\nesac\n')
        script.chmod(0o755)
        return {"PATH": f"{script.parent}:{os.environ['PATH']}", "COMPOSE_ENV_FILES": "/dev/null"}

    return fake


def test_failed_release_ends_with_its_reason_and_the_next_command(docker, capfd):
    environment = docker(
        {
            "compose build": ("", 0),
            "compose up --no-build --wait --detach": ("service release failed\n", 1),
            "compose ps --all --quiet": ("release", 0),
            "inspect release": (json.dumps([container("release", ExitCode=1, Status="exited")]), 0),
            "logs --tail 200 release": ("migrating\nrelease: the disk is full\n", 0),
        }
    )
    before = stack.compose.inspect(environment)
    assert [each.service for each in before] == ["release"]
    stack.report(environment, [])
    assert capfd.readouterr().err == (
        "The last lines of release, without tracebacks:\n"
        "    migrating\n"
        "The whole log: docker compose -p shop logs release\n"
        "up: release: the disk is full\n"
    )


def test_failed_build_ends_with_the_kit_s_own_reason(docker, capfd):
    step = (
        "------\n > [app look 3/3] RUN look:\n0.1 look: several applications: a, b\n------\nfailed to solve: exit 2\n"
    )
    environment = docker({"compose build": (step, 17)})
    assert stack.start(environment, environment) == 17
    said = capfd.readouterr()
    assert said.out.endswith("failed to solve: exit 2\n")  # shown as it came
    assert said.err == "up: the image cannot be built: several applications: a, b\n"


def test_failure_that_is_no_container_s_is_left_to_compose(docker, capfd):
    environment = docker(
        {
            "compose build": ("", 0),
            "compose up --no-build --wait --detach": ("no network\n", 1),
            "compose ps --all --quiet": ("", 0),
        }
    )
    assert stack.start(environment, environment) == 1
    assert capfd.readouterr().err == ""
