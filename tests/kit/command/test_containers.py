"""deploy/kit/containers.py: this project's containers, with a small fake of docker."""

import json
import os

import pytest

from kit import containers
from kit.errors import KitError


def inspected(service, name="", state="running", health="", **more):
    labels = {containers.SERVICE: service} if service else {}
    status = {"Status": state} | ({"Health": {"Status": health}} if health else {})
    return {
        "Id": f"id-of-{name or service}",
        "Name": f"/{name or service}",
        "Config": {"Labels": labels},
        "State": status,
        **more,
    }


def test_containers_are_read_with_their_service_state_and_health():
    found = containers.read([inspected("nginx", "shop-nginx-1"), inspected("app", "shop-app-1", health="healthy")])
    assert [(each.name, each.service, each.state, each.health) for each in found] == [
        ("shop-app-1", "app", "running", "healthy"),
        ("shop-nginx-1", "nginx", "running", ""),
    ]


def test_container_of_no_service_is_left_out():
    assert containers.read([inspected("", "shop-deploy", state="created")]) == []


@pytest.fixture
def application(monkeypatch):
    """application(entries): containers.application when the engine has these."""

    def ask(*entries):
        monkeypatch.setattr(containers.compose, "project_name", lambda _: "shop")
        monkeypatch.setattr(containers, "of_project", lambda *_: containers.read(entries))
        return containers.application({})

    return ask


def test_healthy_application_is_preferred(application):
    chosen = application(
        inspected("app", "shop-app-1", health="starting"), inspected("app", "shop-app-2", health="healthy")
    )
    assert chosen.name == "shop-app-2"


def test_application_that_has_ended_is_not_running(application):
    with pytest.raises(KitError) as raised:
        application(inspected("app", state="exited"), inspected("nginx"))
    assert str(raised.value) == "no container of the application runs (compose project shop): make up starts it"


def fake_docker(folder, script):
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_only_the_project_s_containers_are_asked_for(tmp_path):
    (tmp_path / "said").write_text(json.dumps([inspected("app")]))
    environment = fake_docker(
        tmp_path,
        'case "$*" in "ps --all --quiet --no-trunc --filter label=com.docker.compose.project=shop") echo one ;;'
        f" 'inspect one') cat {tmp_path}/said ;; *) exit 9 ;; esac",
    )
    assert [each.service for each in containers.of_project("shop", environment)] == ["app"]


def test_engine_s_own_reason_is_in_the_error(tmp_path):
    with pytest.raises(KitError, match=r"^docker ps: Cannot connect to the Docker daemon$"):
        containers.of_project("shop", fake_docker(tmp_path, "echo Cannot connect to the Docker daemon >&2; exit 1"))


def test_missing_docker_is_named(tmp_path):
    with pytest.raises(KitError, match=r"^docker is not installed$"):
        containers.of_project("shop", {"PATH": str(tmp_path)})
