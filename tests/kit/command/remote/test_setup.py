"""deploy/kit/remote/setup.py: what a server lacks, with its mend."""

import os
import sys

import pytest

from kit.doctor.findings import Severity
from kit.errors import KitError
from kit.remote import install, setup
from kit.remote.server import Server

SHOP = Server("me", "shop.example")
GOOD = {
    "python": [3, 11, 2],
    "system": "Debian",
    "uid": 1000,
    "docker": [0, "26.1.5"],
    "compose": [0, "2.26.1"],
    "warnings": [0, "[]"],
    "published": "",
    "disk": 50 * 10**9,
    "memory": 4 * 10**9,
    "processors": 2,
    "ports": [22],
    "synchronized": [0, "yes"],
    "kernel": {"net/core/somaxconn": "4096", "fs/file-max": "1000000", "vm/overcommit_memory": "0"},
    "has_apt": True,
    "difference": 0.1,
}


def found(server=SHOP, values=(), **facts):
    findings = setup.check(GOOD | facts, server, dict(values))
    return {each.topic: (each.severity, each.what, each.mend) for each in findings if each.severity is not Severity.OK}


def test_good_server_has_nothing_to_mend():
    assert found() == found(server=None) == {}


@pytest.mark.parametrize(
    ("facts", "topic", "severity", "what", "mend"),
    [
        ({"docker": None}, "docker", "error", "not installed", "make setup HOST=me@shop.example INSTALL=1"),
        ({"docker": [1, "permission denied while"]}, "docker", "error", "me may not use it", "usermod -aG docker me"),
        ({"docker": [1, "Cannot connect"]}, "docker", "error", "does not run", "systemctl enable --now docker"),
        ({"docker": [0, "19.03.1"]}, "docker", "error", "too old", "20 or newer"),
        ({"docker": [0, "20.10.24"]}, "docker", "note", "from a copy of it", ""),
        ({"disk": 10**9}, "disk", "error", "1.0 GB are free", "a larger disk"),
        ({"disk": 5 * 10**9}, "disk", "warning", "5.0 GB are free", "make prune"),
        ({"memory": 5 * 10**8}, "memory", "warning", "500 MB", "BUILD=here"),
        ({"memory": None}, "memory", "note", "not known", ""),
        ({"ports": [22, 443]}, "ports", "warning", "443 is in use by another program", "ss -ltnp"),
        ({"ports": [80], "published": "0.0.0.0:80->8080/tcp"}, "ports", "note", "80: published by a container", ""),
        ({"difference": 60.0}, "clock", "warning", "60.0 s later than this machine's", "set-ntp true"),
        ({"synchronized": [0, "no"]}, "clock", "warning", "not synchronized", "set-ntp true"),
        ({"kernel": GOOD["kernel"] | {"net/core/somaxconn": "128"}}, "kernel", "warning", "is 128", "sysctl"),
        ({"warnings": [0, '["WARNING: No memory limit support"]']}, "kernel", "warning", "No memory limit", "cgroups"),
    ],
)
def test_what_is_wrong_is_said_with_its_mend(facts, topic, severity, what, mend):
    said = found(**facts)
    assert set(said) == {topic}
    assert said[topic][0].value == severity
    assert what in said[topic][1]
    assert mend in said[topic][2]


def test_ports_of_the_site_are_looked_at():
    assert "8080 is in use" in found(values={"HTTP_PORT": "8080"}, ports=[8080])["ports"][1]


@pytest.mark.parametrize("answer", [None, [1, "unknown command"], [0, "2.20.1"]])
def test_compose_is_needed_where_the_command_runs(answer):
    assert found(server=None, compose=answer)["compose"][0] is Severity.ERROR
    assert found(compose=answer) == {}


@pytest.fixture
def ssh(tmp_path):
    """ssh(script): the variables with which the real ssh is this shell script."""
    program = tmp_path / "ssh"

    def fake(script, **values):
        program.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/called\n{script}\n')
        program.chmod(0o755)
        path = f"{tmp_path}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        return {"PATH": path, "HOST": "me@shop.example", "COMPOSE_ENV_FILES": "/dev/null", **values}

    fake.called = lambda: (tmp_path / "called").read_text()
    return fake


def test_server_s_own_python_answers(ssh, capsys, tmp_path):
    docker = tmp_path / "there/docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\ncase "$*" in version*) echo 26.1.5 ;; *) exit 1 ;; esac\n')
    docker.chmod(0o755)
    assert setup.setup(ssh(f"PATH={docker.parent}; exec {sys.executable} -I -")) in (0, 1)
    out = capsys.readouterr().out
    assert "ok       docker         engine 26.1.5" in out
    for topic in ("system", "python", "docker", "disk", "memory", "ports", "clock", "kernel"):
        assert f" {topic} " in out
    assert "shop.example python3 -I -" in ssh.called()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'Permission denied (publickey)' >&2; exit 255", "shop.example does not let me in"),
        (
            "echo 'sh: python3: not found' >&2; exit 127",
            "shop.example has no python3: there: sudo apt-get install python3",
        ),
        (
            "echo \"ModuleNotFoundError: No module named 'shutil'\" >&2; exit 1",
            "shop.example has a part of Python's library alone (No module named 'shutil'): there: sudo apt-get",
        ),
        ("echo nonsense", "the server cannot be examined: nonsense"),
    ],
)
def test_server_that_cannot_be_examined_is_one_line(ssh, script, said):
    with pytest.raises(KitError) as raised:
        setup.setup(ssh(script))
    assert said in str(raised.value)


@pytest.mark.parametrize("is_root", [True, False])
def test_docker_is_installed_as_root_and_the_user_logs_in_again(ssh, monkeypatch, is_root):
    environment = ssh("exit 0")
    environment |= setup.server.variables(SHOP, environment)
    monkeypatch.setattr(install.processes, "call", lambda command, _environment: calls.append(command) or 0)
    calls = []
    install.install(SHOP, environment, is_root=is_root)
    (command,) = calls
    assert ("sudo sh -c" in command[-1]) is not is_root
    assert command[-1].endswith("setup me server")
    assert "-O exit" in ssh.called()


def test_install_that_fails_is_reported(ssh, monkeypatch):
    environment = ssh("exit 0")
    environment |= setup.server.variables(SHOP, environment)
    monkeypatch.setattr(install.processes, "call", lambda *_: 100)
    with pytest.raises(KitError, match="Docker was not installed: exit status 100"):
        install.install(SHOP, environment, is_root=True)


@pytest.mark.parametrize("answer", ["echo; echo 'Cannot connect to the Docker daemon'", "echo ''", "exit 1"])
def test_docker_whose_engine_does_not_run_is_examined(tmp_path, answer):
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    facts = setup.examine(None, environment)
    assert facts["disk"] > 0
