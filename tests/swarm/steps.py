"""What is done to the cluster while it is under load, beside the steps of `make prove TARGET=swarm`."""

import time
from collections.abc import Callable

from kit.prove.command import Step
from kit.prove.swarm import STEPS, SwarmSite, drain, settle, wait
from tests.swarm.cluster import Cluster

KILL_TAKES = 1.0
"""Seconds from the call of docker to the end of the node's processes."""


def restart_the_manager(cluster: Cluster) -> Callable[[SwarmSite], None]:
    """The engine that deployments talk to, and with it its containers. It is the leader, and another one takes over."""

    def run(site: SwarmSite) -> None:
        site.killed = time.monotonic() + KILL_TAKES
        cluster.manager.restart()
        everything_ready(site, cluster)

    return run


def kill_a_node(cluster: Cluster) -> Callable[[SwarmSite], None]:
    def run(site: SwarmSite) -> None:
        node = cluster.nodes[1]
        node.kill()
        site.killed = time.monotonic()
        wait(lambda: cluster.states()[node.name] == "down", "the node is known to be down")
        wait(lambda: node.name not in site.nodes_of("app"), "its containers are elsewhere")
        settle(site)

    return run


def bring_it_back(cluster: Cluster) -> Callable[[SwarmSite], None]:
    def run(site: SwarmSite) -> None:
        cluster.nodes[1].start()
        everything_ready(site, cluster)

    return run


def everything_ready(site: SwarmSite, cluster: Cluster) -> None:
    names = {node.name for node in cluster.nodes}
    wait(lambda: set(cluster.states().values()) == {"ready"}, "all nodes are ready")
    settle(site)
    wait(lambda: site.nodes_of("nginx") == names, "nginx runs on all nodes")


def of(cluster: Cluster, *, is_quick: bool) -> list[Step]:
    last = cluster.nodes[-1].name
    found = [*(each for each in STEPS if not (each.is_long and is_quick)), Step("drain a node", drain(last))]
    if is_quick:
        return found
    return [
        *found,
        Step("restart the manager", restart_the_manager(cluster), kills=True),
        Step("kill a node", kill_a_node(cluster), kills=True),
        Step("start it again", bring_it_back(cluster)),
    ]
