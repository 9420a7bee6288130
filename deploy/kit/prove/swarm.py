"""`make prove TARGET=swarm`: the proof's own site in the swarm that this engine manages, on each node of nginx.

The user's own stack goes on beside it, untouched. A node is drained only if FAULTS asks for it, since what else it runs
moves to other nodes.
"""

import contextlib
import http.client
import json
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from kit import env_files
from kit.console import step
from kit.errors import KitError
from kit.prove.command import Step, deploy_what_cannot_migrate, deploy_what_cannot_start
from kit.prove.site import ProofError, Site
from kit.prove.traffic import Client
from kit.release import lock
from kit.swarm import nodes
from kit.swarm.services import read_count
from kit.swarm.tasks import NAMESPACE

GIVEN = ("REGISTRY", "SWARM_NODES", "EDGE_NODES", "APP_CONSTRAINTS", "START_PATIENCE")
"""Of .env: how images reach the nodes, and which nodes there are."""

REPLICAS = 3
PORTS = range(20000, 30000, 2)
"""Of which one is chosen, and the next, for HTTPS: below those that Linux gives to connections."""

SETTLE = 300.0
"""Seconds in which Swarm starts containers elsewhere: enough for a machine that is busy with other things."""

KINDS = (
    *((False, is_post, keeps_alive) for is_post in (False, True) for keeps_alive in (False, True)),
    (True, False, True),
    (True, True, False),
)
"""Of clients: whether each uses HTTPS, sends a POST, keeps its connection."""

INTERVAL = 0.05  # seconds between two requests of a client
TIMEOUT = 60.0  # seconds


class SwarmSite(Site):
    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Raises KitError if the engine manages no swarm."""
        super().__init__(folder, environment)
        values = env_files.read_kit(environment)
        port = secrets.choice(PORTS)
        ports = {"HTTP_PORT": str(port), "HTTPS_PORT": str(port + 1)}
        self.environment |= {
            "START_PATIENCE": "30",
            **{name: values[name] for name in GIVEN if values.get(name)},
            "TARGET": "swarm",
            "HTTP_ADDRESS": "0.0.0.0",  # Swarm publishes on every address of a node
            # not those of .env, which the user's own stack has
            **{name: environment.get(name) or chosen for name, chosen in ports.items()},
            "APP_REPLICAS": str(REPLICAS),
        }
        swarm = nodes.find(self.environment)
        self.edge = [node for node in nodes.hosts_of_nginx(swarm, self.environment) if node.is_ready and node.is_active]

    def engines(self) -> list[dict[str, str]]:
        """The variables of a call of docker, of this engine and of those in SWARM_NODES that respond."""
        found = [self.environment]
        for endpoint in nodes.endpoints(self.environment):
            its = self.environment | {"DOCKER_HOST": endpoint}
            with contextlib.suppress(ProofError):
                self.docker("version", environment=its)
                found.append(its)
        return found

    def count(self, service: str = "app") -> tuple[int, int]:
        """How many of its containers run, and how many are wanted."""
        name = f"{self.name}_{service}"
        found = read_count(self.docker("service", "ls", "--filter", f"name={name}", "--format", "{{.Replicas}}"))
        return found.running, found.wanted

    def tasks(self, service: str) -> dict[str, str]:
        """The nodes of those that run, by their identifiers."""
        words = ("--no-trunc", "--filter=desired-state=running", "--format={{.ID}}\t{{.Node}}\t{{.CurrentState}}")
        listed = self.docker("service", "ps", *words, f"{self.name}_{service}")
        rows = [line.split("\t") for line in listed.splitlines()]
        return {identifier: node for identifier, node, state in rows if state.startswith("Running")}

    def nodes_of(self, service: str) -> set[str]:
        return set(self.tasks(service).values())

    def containers(self, service: str = "app") -> list[str]:
        return list(self.tasks(service))

    def version_on(self, address: str) -> str:
        """Of the release that the nginx at this address serves. Raises ProofError."""
        connection = http.client.HTTPConnection(address, int(self.environment["HTTP_PORT"]), timeout=TIMEOUT)
        try:
            connection.request("GET", "/", headers={"Host": "localhost"})
            return connection.getresponse().read().decode(errors="replace").split(" ")[0]
        except (OSError, http.client.HTTPException) as error:
            raise ProofError(f"the nginx on {address} does not respond: {error}", []) from None
        finally:
            connection.close()

    def clients(self) -> list[Client]:
        """The kinds of one machine. Each begins with another node, and takes the next one if that is away."""
        found = []
        for at, (is_https, is_post, keeps_alive) in enumerate(KINDS):
            port = int(self.environment["HTTPS_PORT" if is_https else "HTTP_PORT"])
            addresses = [(node.address, port) for node in self.edge]
            first, *others = addresses[at % len(addresses) :] + addresses[: at % len(addresses)]
            found.append(
                Client(
                    first,
                    is_https=is_https,
                    is_post=is_post,
                    keeps_alive=keeps_alive,
                    others=tuple(others),
                    interval=INTERVAL,
                    timeout=TIMEOUT,
                )
            )
        return found

    def remove(self) -> None:
        """Also the volumes and the images, on each node that is reached."""
        with contextlib.suppress(ProofError):
            self.kit("down", "--unlock")  # a deployment may have been interrupted
        with contextlib.suppress(ProofError):
            self.docker("rm", "--force", lock.name(self.name))
        label = f"--filter=label={NAMESPACE}={self.name}"

        def is_gone(its: Mapping[str, str]) -> bool:
            return not self.docker("ps", "--all", "--quiet", label, environment=its)

        for its in self.engines():
            with contextlib.suppress(ProofError):
                wait(partial(is_gone, its), "its containers are removed")
                if volumes := self.docker("volume", "ls", "--quiet", label, environment=its).split():
                    self.docker("volume", "rm", *volumes, environment=its)
            self.remove_images(its)
        if self.environment.get("REGISTRY"):
            step(
                f"The registry keeps images named {self.name}, and nodes that SWARM_NODES does not name its volumes too"
            )


def wait(condition: Callable[[], bool], what: str) -> None:
    """An engine may not respond meanwhile, and a swarm may have no leader. Raises ProofError."""
    deadline, said = time.monotonic() + SETTLE, []
    while True:
        try:
            if condition():
                return
        except ProofError as error:
            said = [str(error), *error.lines]
        if time.monotonic() > deadline:
            raise ProofError(f"{SETTLE:.0f} s passed, and still not: {what}", said)
        time.sleep(0.2)


def settle(site: SwarmSite, count: int = REPLICAS) -> None:
    wait(lambda: site.count() == (count, count), f"{count} containers of the application run")


def expect(site: SwarmSite, version: str) -> None:
    """From each node's nginx."""
    for node in site.edge:
        if (found := site.version_on(node.address)) != version:
            raise ProofError(f"{node.hostname} serves {found[:60]!r} instead of {version}", [])


def deploy(site: SwarmSite) -> None:
    site.write("two")
    site.kit("deploy")
    expect(site, "two")


def refused(run: Callable[[Site], None]) -> Callable[[SwarmSite], None]:
    """The release from before goes on."""

    def then(site: SwarmSite) -> None:
        run(site)
        expect(site, "two")

    return then


def deploy_what_gets_sick(site: Site) -> None:
    """The job `release` accepts it; its containers never become healthy, so that Swarm takes the update back."""
    site.write("bad", status="500 Internal Server Error")
    said = site.kit("deploy", status=1)
    if "Swarm has taken the update back" not in said:
        raise ProofError("Swarm has not taken it back", said.splitlines()[-20:])


def roll_back_and_forth(site: SwarmSite) -> None:
    newest = json.loads(site.kit("releases", "--json").splitlines()[0])["tag"]
    site.kit("rollback")
    expect(site, "one")
    site.kit("rollback", "--to", newest)
    expect(site, "two")


def scale(count: int) -> Callable[[SwarmSite], None]:
    def run(site: SwarmSite) -> None:
        site.docker("service", "scale", "--detach", f"{site.name}_app={count}")
        settle(site, count)

    return run


def replace_nginx(site: SwarmSite) -> None:
    """On one node after the other, as if it had changed."""
    if len(site.edge) < 2:
        step("nginx runs on one node alone: it is not replaced")
        return
    before = set(site.tasks("nginx"))
    site.docker("service", "update", "--force", "--detach", f"{site.name}_nginx")

    def is_done() -> bool:
        found = set(site.tasks("nginx"))
        return len(found) == len(site.edge) and not found & before

    wait(is_done, "nginx is another one on each node")


def kill_container(site: SwarmSite) -> None:
    """One of the application, on a node whose engine is reached."""
    label = f"--filter=label=com.docker.swarm.service.name={site.name}_app"
    for its in site.engines():
        for container in site.docker("ps", "--quiet", label, environment=its).split():
            site.docker("kill", "--signal", "KILL", container, environment=its)
            site.killed = time.monotonic()
            template = '{{index .Config.Labels "com.docker.swarm.task.id"}}'
            task = site.docker("inspect", "--format", template, container, environment=its).strip()
            wait(partial(lambda ended: ended not in site.tasks("app"), task), "Swarm knows that it has ended")
            settle(site)
            return
    step("No engine that is reached here runs a container of the application: none is killed")


def drain(hostname: str) -> Callable[[SwarmSite], None]:
    """What the node runs moves to others; then it is active again.

    Swarm stops it there before it starts it elsewhere, so a node that has all of the application's containers is
    relieved of some before.
    """

    def run(site: SwarmSite) -> None:
        def runs(service: str) -> bool:
            return hostname in site.nodes_of(service)

        had_nginx = runs("nginx")
        if site.nodes_of("app") == {hostname}:
            site.docker("service", "update", "--force", "--quiet", f"{site.name}_app")
        site.docker("node", "update", "--availability", "drain", hostname)
        try:
            wait(lambda: not runs("app") and not runs("nginx"), f"its containers have left {hostname}")
            settle(site)
        finally:
            site.docker("node", "update", "--availability", "active", hostname)
        if had_nginx:
            wait(lambda: runs("nginx"), f"nginx is back on {hostname}")

    return run


STEPS = (
    Step("deploy", deploy),
    Step("deploy a release that is not healthy", refused(deploy_what_gets_sick)),
    Step("deploy a release that cannot start", refused(deploy_what_cannot_start), is_long=True),
    Step("deploy a release that cannot migrate", refused(deploy_what_cannot_migrate), is_long=True),
    Step("roll back and forth", roll_back_and_forth, is_long=True),
    Step("scale to 5", scale(5), is_long=True),
    Step("scale to 3", scale(3), is_long=True),
    Step("replace nginx", replace_nginx, is_long=True),
    Step("kill a container", kill_container, kills=True),
)


def faults(site: SwarmSite) -> tuple[Step, ...]:
    """What FAULTS chooses from. Raises KitError if nothing would serve meanwhile."""
    if len(site.edge) < 2:
        raise KitError("FAULTS: it drains a node, and nginx runs on one alone: nothing would serve meanwhile")
    return tuple(Step(f"drain {node.hostname}", drain(node.hostname)) for node in site.edge)
