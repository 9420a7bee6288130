"""`make swarm-test`: a swarm of three nodes under load, while it is deployed to and hurt. QUICK=1: two nodes.

It prints what became of each request, step by step. The exit status is 1 if one was lost that nothing which was killed
had, or if something of the site is left on the nodes. Ctrl-C, SIGTERM and the limit of time remove everything too.
"""

import os
import signal
import subprocess
import sys
from types import FrameType

from kit.console import step
from kit.errors import KitError
from kit.prove.command import measure
from kit.prove.site import temporary
from kit.prove.swarm import SwarmSite
from tests.swarm import cluster, steps

LIMIT, QUICK_LIMIT = 60 * 60, 20 * 60  # seconds, for a machine that is busy with other things


def main() -> int:
    is_quick = os.environ.get("QUICK") == "1"
    for number in cluster.INTERRUPTS:
        signal.signal(number, interrupt)
    signal.alarm(QUICK_LIMIT if is_quick else LIMIT)
    step("Build the image of a node (minutes, if it is not in the cache)")
    try:
        cluster.build()
        count, managers = (2, 1) if is_quick else (3, 3)
        step(f"Make a swarm of {count} nodes")
        with cluster.cluster(count, managers) as nodes:
            return prove(nodes, is_quick=is_quick)
    except (KitError, TimeoutError) as error:
        return fail(str(error))
    except subprocess.CalledProcessError as error:
        return fail(f"{error}\n{error.stderr}")


def prove(nodes: cluster.Cluster, *, is_quick: bool) -> int:
    environment = {
        **os.environ,
        "COMPOSE_ENV_FILES": "/dev/null",
        "DOCKER_HOST": nodes.manager.endpoint,
        "SWARM_NODES": " ".join(node.endpoint for node in nodes.nodes[1:]),
        "COMPILED": "0",  # a minute less, in an engine without a cache
    }
    with temporary(environment, SwarmSite) as site:
        status = measure(site, steps.of(nodes, is_quick=is_quick))
    if left := nodes.what_has(site.name):
        return fail(f"left on the nodes: {', '.join(left)}")
    return status


def interrupt(number: int, _: FrameType | None) -> None:
    # what comes later must not disturb what removes everything
    for each in cluster.INTERRUPTS:
        signal.signal(each, signal.SIG_IGN)
    said = "the limit of time" if number == signal.SIGALRM else signal.Signals(number).name
    fail(f"{said}: everything is removed now")
    sys.exit(128 + number)


def fail(text: str) -> int:
    print(f"swarm-test: {text}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
