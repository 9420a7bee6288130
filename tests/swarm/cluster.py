"""A swarm of engines in containers of this machine, each of which is a node with an address of its own."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.helpers.paths import REPOSITORY

BASE_IMAGE = os.environ.get("BASE_IMAGE") or "debian:trixie-slim"
IMAGE = "ropewalk-swarm-node"
START_TIMEOUT = 120  # seconds
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
LABEL = "ropewalk.swarm-test"
"""Of the nodes' containers."""

CAPABILITIES = str.split(
    "audit_control audit_read block_suspend dac_read_search ipc_lock ipc_owner lease linux_immutable mac_admin"
    " mac_override net_admin net_broadcast sys_admin sys_boot sys_module sys_nice sys_pacct sys_ptrace sys_rawio"
    " sys_time sys_tty_config syslog wake_alarm"
)
"""What `--privileged` gives, one by one: with that, the engine would also change this machine's devices."""


class Node:
    """One node; `docker` calls its engine."""

    def __init__(self, name: str, network: "Network", number: int, sockets: Path) -> None:
        self.name, self.address = name, f"{network.start}.{number}"
        self.endpoint = f"unix://{sockets}/{name}.sock"
        options = [f"--cap-add={each}" for each in CAPABILITIES]
        for each in ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"):
            options.append(f"--security-opt={each}")
        options += ["--device-cgroup-rule=a *:* rwm", "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"]
        options += ["--volume=/var/lib/docker", f"--volume={sockets}:/sockets", f"--label={LABEL}={network.token}"]
        # a start later brings the same address, by which the swarm knows it
        options += [f"--network={network.name}", f"--ip={self.address}", f"--env=DNS={network.dns}"]
        create("run", "--detach", "--name", name, "--hostname", name, *options, IMAGE)

    def docker(self, *words: str, sent: bytes | None = None) -> str:
        return call("docker", *words, environment={"DOCKER_HOST": self.endpoint}, sent=sent)

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
        wait(self.answers, f"the engine of {self.name} answers")

    def start(self) -> None:
        outer("start", self.name)


class Cluster:
    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    @property
    def manager(self) -> Node:
        return self.nodes[0]

    def states(self) -> dict[str, str]:
        """ready, down ..., by the names of the nodes; empty while the swarm has no leader."""
        try:
            found = json.loads(self.manager.docker("node", "inspect", *(node.name for node in self.nodes)))
        except subprocess.CalledProcessError:
            return dict.fromkeys((node.name for node in self.nodes), "unknown")
        return {each["Description"]["Hostname"]: each["Status"]["State"] for each in found}

    def what_has(self, name: str) -> list[str]:
        """Everything on the nodes whose name has this in it."""
        kinds = {
            "container": ("ps", "--all", "--format", "{{.Names}}"),
            "volume": ("volume", "ls", "--format", "{{.Name}}"),
            "network": ("network", "ls", "--format", "{{.Name}}"),
            "image": ("image", "ls", "--format", "{{.Repository}}:{{.Tag}}"),
        }
        of_swarm = {kind: (kind, "ls", "--format", "{{.Name}}") for kind in ("service", "secret", "config")}
        found = []
        for node in self.nodes:
            for kind, words in (kinds | (of_swarm if node is self.manager else {})).items():
                found += [f"{kind} {each} on {node.name}" for each in node.docker(*words).split() if name in each]
        return found


def outer(*words: str) -> str:
    """docker, as it is set up for this machine."""
    return call("docker", *words)


def create(*words: str) -> None:
    """As `outer`, but not interrupted halfway: what removes everything could not see what is created after that."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        outer(*words)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def call(*words: str, environment: dict[str, str] | None = None, sent: bytes | None = None) -> str:
    """What it prints. Raises CalledProcessError, and TimeoutExpired after a quarter of an hour."""
    done = subprocess.run(
        words,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        check=False,
        timeout=900,
        input=sent or b"",
        start_new_session=True,  # Ctrl-C is for the test, which then removes everything
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
def cluster(count: int, managers: int) -> Iterator[Cluster]:
    """The first nodes are managers: of three, one may go. Removed at the end, with all that it has."""
    token = secrets.token_hex(3)
    with tempfile.TemporaryDirectory(prefix="ropewalk-swarm-") as sockets:
        try:
            yield _start(token, count, managers, Path(sockets))
        finally:
            wait(lambda: _remove(token), "all of it is removed")


def _remove(token: str) -> bool:
    """Whether nothing was there any more."""
    is_gone = True
    for listing, removal in (("ps --all --quiet", "rm --force --volumes"), ("network ls --quiet", "network rm")):
        if found := outer(*listing.split(), f"--filter=label={LABEL}={token}").split():
            is_gone = False
            with contextlib.suppress(subprocess.CalledProcessError):  # the engine may be removing it already
                outer(*removal.split(), *found)
    return is_gone


class Network:
    """Of the nodes."""

    def __init__(self, token: str) -> None:
        self.token, self.name = token, f"swarm-{token}"
        self.start = self._create()
        """The first three octets of its addresses."""
        # the containers of the nodes cannot ask the DNS of this network, but those that it asks
        resolvers = outer("run", "--rm", IMAGE, "cat", "/etc/resolv.conf").splitlines()
        servers = [line.split()[1] for line in resolvers if line.startswith("nameserver ")]
        self.dns = " ".join(f"--dns={server}" for server in servers)
        """Options of dockerd."""

    def _create(self) -> str:
        for attempt in range(5):
            start = f"198.18.{secrets.randbelow(256)}"  # for tests (RFC 2544)
            words = (f"--label={LABEL}={self.token}", f"--subnet={start}.0/24", self.name)
            try:
                create("network", "create", *words)
            except subprocess.CalledProcessError:
                if attempt == 4:
                    raise
                continue  # somebody has these addresses
            break
        return start


def _start(token: str, count: int, managers: int, sockets: Path) -> Cluster:
    network = Network(token)
    nodes = [Node(f"swarm-{token}-{at}", network, at + 1, sockets) for at in range(1, count + 1)]
    for node in nodes:
        wait(node.answers, f"the engine of {node.name} answers")
    first = nodes[0]
    first.docker("load", sent=subprocess.run(["docker", "save", BASE_IMAGE], capture_output=True, check=True).stdout)
    first.docker("swarm", "init", "--advertise-addr", first.address)
    for at, node in enumerate(nodes[1:], 1):
        word = first.docker("swarm", "join-token", "--quiet", "manager" if at < managers else "worker")
        node.docker("swarm", "join", "--token", word, f"{first.address}:2377")
    return Cluster(nodes)
