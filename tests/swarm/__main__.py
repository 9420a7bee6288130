"""`make swarm-test`: a swarm of three nodes under load, while it is deployed to and hurt.

It prints what became of each request, step by step. The exit status is 1 if one was lost that no ending node had.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from kit.prove.site import ProofError
from kit.prove.traffic import Request, Traffic
from tests.swarm import cluster
from tests.swarm.site import SwarmSite
from tests.swarm.steps import STEPS, Step

QUIET = 3.0  # seconds of traffic before and after each step


class Row(NamedTuple):
    name: str
    started: float
    """Seconds since the start of the traffic, as the next."""
    ended: float
    kills: bool
    error: str = ""


def main() -> int:
    say("Build the image of a node (minutes, if it is not in the cache)")
    cluster.build()
    with tempfile.TemporaryDirectory(prefix="ropewalk-swarm-") as folder, cluster.cluster() as nodes:
        site = SwarmSite(Path(folder), dict(os.environ), nodes)
        say("Deploy to three nodes")
        site.write("one")
        try:
            site.kit("deploy", APP_REPLICAS="3")
        except ProofError as error:
            return fail("the first deployment", error)
        return measure(site, nodes)


def measure(site: SwarmSite, nodes: cluster.Cluster) -> int:
    with Traffic(site.clients_of(nodes)) as traffic:
        began = time.monotonic()
        rows = []
        for step in STEPS:
            time.sleep(QUIET)
            rows.append(run(step, site, nodes, began))
            time.sleep(QUIET)
            say(f"{step.name}: {rows[-1].ended - rows[-1].started:.0f} s, {len(traffic.report().failed)} failed so far")
            if rows[-1].error:
                break
    return conclude(traffic.report().requests, rows)


def run(step: Step, site: SwarmSite, nodes: cluster.Cluster, began: float) -> Row:
    started, error = time.monotonic() - began, ""
    try:
        step.run(site, nodes)
    except (ProofError, TimeoutError, subprocess.CalledProcessError) as caught:
        error = str(caught)
        fail(step.name, caught)
    return Row(step.name, started, time.monotonic() - began, step.kills, error)


def conclude(requests: list[Request], rows: list[Row]) -> int:
    """Prints the table."""
    print("| step | seconds | requests | failed | in flight on the node that ended | slowest |")  # noqa: T201
    print("| --- | ---: | ---: | ---: | ---: | ---: |")  # noqa: T201
    lost = 0
    for at, row in enumerate(rows):
        until = rows[at + 1].started if at + 1 < len(rows) else float("inf")
        since = row.started if at else 0.0
        own = [request for request in requests if since <= request.started + request.seconds < until]
        failed = [request for request in own if request.detail]
        died = [request for request in failed if row.kills and was_in_flight(request, row.started)]
        lost += len(failed) - len(died)
        slowest = max((request.seconds for request in own), default=0.0)
        counts = f"{len(own)} | {len(failed) - len(died)} | {len(died)}"
        print(f"| {row.name} | {row.ended - row.started:.0f} | {counts} | {slowest:.1f} s |")  # noqa: T201
        for request in failed[:5]:
            say(f"{row.name}: at {request.started - row.started:.2f} s, by {request.address}: {request}")
    is_complete = len(rows) == len(STEPS) and not any(row.error for row in rows)
    print(f"{lost} failed of {len(requests)}{'' if is_complete else ', and a step did not do what it had to'}")  # noqa: T201
    return 0 if is_complete and not lost else 1


def was_in_flight(request: Request, killed: float) -> bool:
    """Whether it was on its way when the node ended: in the node's nginx, or in its application."""
    return request.started <= killed + cluster.KILL_TAKES and request.started + request.seconds >= killed


def fail(name: str, error: Exception) -> int:
    for line in getattr(error, "lines", []):
        say(f"    {line}")
    said = getattr(error, "stderr", "")
    say(f"{name}: {error} {said}")
    return 1


def say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
