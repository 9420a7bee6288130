"""What is done to the cluster while it is under load, and how each step knows that it has happened."""

import re
from collections.abc import Callable
from typing import NamedTuple

from kit.prove.site import ProofError
from tests.swarm.cluster import Cluster, Node, wait
from tests.swarm.site import SwarmSite

SETTLE = 300.0
"""Seconds in which Swarm starts containers elsewhere: enough for a machine that is busy with other things."""


class Step(NamedTuple):
    name: str
    run: Callable[[SwarmSite, Cluster], None]
    kills: bool = False
    """The step ends a node that was not drained, and with it what is on its way there."""


def update(site: SwarmSite, cluster: Cluster) -> None:
    site.write("two")
    site.kit("deploy")
    expect_version(site, cluster, "two")


def scale(count: int) -> Callable[[SwarmSite, Cluster], None]:
    def run(site: SwarmSite, cluster: Cluster) -> None:
        cluster.manager.docker("service", "scale", "--detach", f"{site.name}_app={count}")
        settle(site, count)

    return run


def deploy_what_cannot_start(site: SwarmSite, cluster: Cluster) -> None:
    site.write("bad", 'raise RuntimeError("this release cannot start")')
    said = site.kit("deploy", status=1)
    if "this release cannot start" not in said:
        raise ProofError("the reason is not in what it printed", said.splitlines()[-20:])
    expect_version(site, cluster, "two")


def deploy_what_gets_sick(site: SwarmSite, cluster: Cluster) -> None:
    """The release job accepts it; its containers never become healthy, so that Swarm takes the update back."""
    site.write("bad", status="500 Internal Server Error")
    said = site.kit("deploy", status=1)
    if "Swarm has taken the update back" not in said:
        raise ProofError("Swarm has not taken it back", said.splitlines()[-20:])
    expect_version(site, cluster, "two")


def deploy_what_cannot_migrate(site: SwarmSite, cluster: Cluster) -> None:
    site.write("bad")
    site.kit("deploy", status=1, MIGRATE_COMMAND="false")
    expect_version(site, cluster, "two")


def roll_back(site: SwarmSite, cluster: Cluster) -> None:
    site.kit("rollback")
    expect_version(site, cluster, "one")


def drain(site: SwarmSite, cluster: Cluster) -> None:
    node = cluster.nodes[2]
    cluster.manager.docker("node", "update", "--availability", "drain", node.name)
    wait(lambda: not site.nodes_of("app") & {node.name}, "the drained node has no application", SETTLE)
    settle(site, 3)
    cluster.manager.docker("node", "update", "--availability", "active", node.name)
    wait(lambda: node.name in site.nodes_of("nginx"), "nginx is back on the node", SETTLE)


def restart_the_manager(site: SwarmSite, cluster: Cluster) -> None:
    """Which deployments talk to: it is the leader at first, and another one takes over. Its containers end with it."""
    cluster.manager.restart()
    wait(cluster.manager.answers, "its engine answers", SETTLE)
    everything_ready(site, cluster)


def kill_a_node(site: SwarmSite, cluster: Cluster) -> None:
    node = cluster.nodes[1]
    node.kill()
    wait(lambda: cluster.state_of(node) == "down", "the node is known to be down", SETTLE)
    settle(site, 3)


def bring_it_back(site: SwarmSite, cluster: Cluster) -> None:
    node: Node = cluster.nodes[1]
    node.start()
    everything_ready(site, cluster)


STEPS = (
    Step("update", update),
    Step("scale to 5", scale(5)),
    Step("scale to 3", scale(3)),
    Step("an image that cannot start", deploy_what_cannot_start),
    Step("an image that is not healthy", deploy_what_gets_sick),
    Step("a migration that fails", deploy_what_cannot_migrate),
    Step("roll back", roll_back),
    Step("drain a node", drain),
    Step("restart the manager", restart_the_manager, kills=True),
    Step("kill a node", kill_a_node, kills=True),
    Step("start it again", bring_it_back),
)


def everything_ready(site: SwarmSite, cluster: Cluster) -> None:
    wait(lambda: all(cluster.state_of(node) == "ready" for node in cluster.nodes), "all nodes are ready", SETTLE)
    settle(site, 3)
    names = {node.name for node in cluster.nodes}
    wait(lambda: site.nodes_of("nginx") == names, "nginx runs on all nodes", SETTLE)


def settle(site: SwarmSite, count: int) -> None:
    wait(lambda: site.count("app") == (count, count), f"{count} containers of the application run", SETTLE)


def expect_version(site: SwarmSite, cluster: Cluster, version: str) -> None:
    """From each node's nginx."""
    for node in cluster.nodes:
        found = site.ask(node.address)
        if not re.match(rf"{version} ", found):
            raise ProofError(f"{node.name} serves {found[:60]!r} instead of {version}", [])
