"""A small fake of docker on a manager of a swarm of two nodes, with the stack shop."""

import json
import subprocess
import sys

import pytest

from kit.paths import ROOT
from tests.helpers.containers import clean_environment

NODES = [
    {
        "ID": f"id-{name}",
        "Description": {"Hostname": name, "Engine": {"EngineVersion": "26.1.5"}},
        "Spec": {"Role": "manager", "Availability": "active"},
        "Status": {"State": "ready"},
        "ManagerStatus": {"Reachability": "reachable"},
    }
    for name in ("one", "two")
]


def contained(service, node_slot="1", state="running", **more):
    """A container of the stack, as `docker inspect` prints it."""
    labels = {"com.docker.swarm.service.name": f"shop_{service}", "com.docker.compose.service": "app"}
    return {
        "Id": f"id-of-{service}",
        "Name": f"/shop_{service}.{node_slot}.x",
        "Config": {"Labels": labels},
        "State": {"Status": state},
        **more,
    }


class Kit:
    """kit(command, **variables): the command, with a docker that is `script`; the calls of docker are in `calls`."""

    def __init__(self, repository, folder):
        self._repository, self._folder = repository, folder
        self.script = ""
        self.here = []
        """The containers of this node, as `docker inspect` prints them."""

    @property
    def calls(self):
        return (self._folder / "calls").read_text().splitlines()

    def start(self, *command, **variables):
        info = {"LocalNodeState": "active", "ControlAvailable": True, "NodeID": "id-one"}
        for name, content in (("nodes", NODES), ("info", info), ("here", self.here)):
            (self._folder / name).write_text(json.dumps(content))
        docker = self._folder / "docker"
        docker.write_text(
            f"""#!/bin/sh
echo "$*" >>{self._folder}/calls
case "$*" in
{self.script}
'compose version --short') echo 2.26.1 ;;
'compose config --format json') echo '{{"name": "shop"}}' ;;
version*) echo 26.1.5 ;;
'info --format {{{{json .Swarm}}}}') cat {self._folder}/info ;;
'info --format {{{{.Swarm.NodeID}}}}') exit 1 ;;
'node ls --quiet') echo id-one id-two ;;
'node inspect'*) cat {self._folder}/nodes ;;
'service ls'*) printf '%s\\n' shop_app shop_nginx shop_release ;;
'ps --all'*) {"echo one" if self.here else ":"} ;;
'inspect one') cat {self._folder}/here ;;
*) echo "what is $*?" >&2; exit 99 ;;
esac
"""
        )
        docker.chmod(0o755)
        environment = {
            "PATH": f"{self._folder}:/usr/bin:/bin",
            "COMPOSE_ENV_FILES": "/dev/null",
            "TARGET": "swarm",
            **variables,
        }
        words = [sys.executable, "-I", self._repository / "deploy/kit", *command]
        return subprocess.Popen(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *command, **variables):
        """The exit status, and both outputs."""
        with self.start(*command, **variables) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err


@pytest.fixture
def kit(repository, tmp_path):
    return Kit(repository, tmp_path)


def configured(**variables):
    """What `docker compose config` prints of docker-compose.yml: of the command line alone, without an engine."""
    environment = clean_environment() | {
        "COMPOSE_PROJECT_NAME": "shop",
        "COMPOSE_ENV_FILES": "/dev/null",
        "HTTP_ADDRESS": "0.0.0.0",
        **variables,
    }
    command = ["docker", "compose", "config", "--format", "json"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def model():
    return configured()
