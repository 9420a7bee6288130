"""A swarm of engines in containers of this machine, each of which is a node with an address of its own."""

import contextlib
import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.helpers.paths import REPOSITORY

BASE_IMAGE = os.environ.get("BASE_IMAGE") or "debian:trixie-slim"
IMAGE = "ropewalk-swarm-node"
START_TIMEOUT = 120  # seconds
KILL_TAKES = 1.0  # seconds, from the call of `docker kill` to the end of the node's processes
CAPABILITIES = str.split(
    "audit_control audit_read block_suspend dac_read_search ipc_lock ipc_owner lease linux_immutable mac_admin"
    " mac_override net_admin net_broadcast sys_admin sys_boot sys_module sys_nice sys_pacct sys_ptrace sys_rawio"
    " sys_time sys_tty_config syslog wake_alarm"
)
"""What `--privileged` gives, one by one: with that, the engine would also change this machine's devices."""


class Node:
    """One node; `docker` calls its engine."""

    def __init__(self, name: str, sockets: Path) -> None:
        self.name = name
        self.endpoint = f"unix://{sockets}/{name}.sock"
        options = [f"--cap-add={each}" for each in CAPABILITIES]
        for each in ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"):
            options.append(f"--security-opt={each}")
        options += ["--device-cgroup-rule=a *:* rwm", "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"]
        options += ["--volume=/var/lib/docker", f"--volume={sockets}:/sockets"]
        outer("run", "--detach", "--name", name, "--hostname", name, *options, IMAGE)

    def docker(self, *words: str, sent: bytes | None = None) -> str:
        return call("docker", *words, environment={"DOCKER_HOST": self.endpoint}, sent=sent)

    @property
    def address(self) -> str:
        return outer("inspect", "--format", "{{.NetworkSettings.IPAddress}}", self.name)

    def answers(self) -> bool:
        try:
            self.docker("info")
        except subprocess.CalledProcessError:
            return False
        return True

    def kill(self) -> None:
        """As if its power failed."""
        outer("kill", "--signal", "KILL", self.name)

    def restart(self) -> None:
        """The engine and what it runs: as a reboot of the machine."""
        outer("restart", "--time", "20", self.name)

    def start(self) -> None:
        outer("start", self.name)

    def remove(self) -> None:
        outer("rm", "--force", "--volumes", self.name)


class Cluster:
    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    @property
    def manager(self) -> Node:
        return self.nodes[0]

    def state_of(self, node: Node) -> str:
        """ready, down ..."""
        return str(self._inspect(node)["Status"]["State"])

    def _inspect(self, node: Node) -> dict[str, dict[str, str]]:
        found: list[dict[str, dict[str, str]]] = json.loads(self.manager.docker("node", "inspect", node.name))
        return found[0]


def outer(*words: str) -> str:
    """docker, as it is set up for this machine."""
    return call("docker", *words)


def call(*words: str, environment: dict[str, str] | None = None, sent: bytes | None = None) -> str:
    """What it prints. Raises CalledProcessError."""
    done = subprocess.run(
        words,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        check=False,
        timeout=900,
        input=sent or b"",
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, words, done.stdout.decode(), done.stderr.decode())
    return done.stdout.decode().strip()


def wait(condition: Callable[[], bool], what: str, timeout: float = START_TIMEOUT) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{timeout:.0f} s passed, and still not: {what}")
        time.sleep(0.2)


def build() -> None:
    """The image of a node: minutes the first time, then it is in the engine's cache."""
    image = ("--tag", IMAGE, "--build-arg", f"BASE_IMAGE={BASE_IMAGE}", str(REPOSITORY / "tests/swarm"))
    call("docker", "build", *image, environment={"DOCKER_BUILDKIT": "1"})


@contextlib.contextmanager
def cluster(count: int = 3) -> Iterator[Cluster]:
    """All nodes are managers, so that one may go. Removed at the end, with all that it has."""
    token = secrets.token_hex(3)
    with contextlib.ExitStack() as stack:
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ropewalk-swarm-")))
        nodes = []
        for number in range(1, count + 1):
            node = Node(f"swarm-{token}-{number}", sockets)
            stack.callback(node.remove)
            nodes.append(node)
        for node in nodes:
            wait(node.answers, f"the engine of {node.name} answers")
        first = nodes[0]
        first.docker("load", sent=_saved(BASE_IMAGE))
        first.docker("swarm", "init", "--advertise-addr", first.address)
        token = first.docker("swarm", "join-token", "--quiet", "manager")
        for node in nodes[1:]:
            node.docker("swarm", "join", "--token", token, f"{first.address}:2377")
        yield Cluster(nodes)


def _saved(image: str) -> bytes:
    done = subprocess.run(["docker", "save", image], capture_output=True, check=True)
    return done.stdout
