"""`make maintenance` for a swarm: a job on each node of nginx leaves the state in its volume, and nginx takes it there.

The job stays: a node that joins later, or was away, runs it by itself.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kit import maintenance as of_compose
from kit.console import step
from kit.errors import KitError
from kit.logs.records import Record
from kit.release.errors import ReleaseError
from kit.release.site import Site
from kit.swarm import one_off, services, tasks
from kit.swarm.logs import Reader
from kit.swarm.stack import part
from kit.swarm.tasks import Stack

JOB, ASKING = "maintenance", "maintenance-status"
OFF = "off"
STATUS = f"{of_compose.SCRIPT} status || echo {OFF}"


def maintenance(state: str, environment: Mapping[str, str]) -> int:
    """As kit.maintenance. Raises KitError if a node that is up does not do it."""
    words = of_compose.arguments(state, environment)
    check_addresses(words[2:])
    stack = tasks.find(environment)
    with one_off.site_of(stack, "maintenance") as (site, model):
        if words == ["status"]:
            try:
                _run(site, stack, model, ASKING, ["bash", "-c", STATUS])
                said = [record for _, record in Reader(stack.name).read_all(ASKING, [], stack.environment)]
            finally:
                services.remove(site, ASKING)
            for line in by_node(said):
                step(line)
        else:
            _run(site, stack, model, JOB, [of_compose.SCRIPT, "leave", *words])
            step(of_compose.result(words))
    return 0


def by_node(said: Iterable[Record]) -> list[str]:
    """A line for each node; one for all if they agree that it is off."""
    states = {record.container.partition("@")[2]: record.line for record in said}
    if set(states.values()) == {OFF}:
        return [of_compose.OFF]
    return [f"{node}: {line}" for node, line in sorted(states.items())]


def check_addresses(given: Sequence[str]) -> None:
    """Raises KitError: nginx of each node would refuse it."""
    for each in given:
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError:
            raise KitError(
                f"ALLOW={each!r}: must be addresses or networks, such as 203.0.113.7 or 2001:db8::/32"
            ) from None


def _run(site: Site, stack: Stack, model: Mapping[str, Any], name: str, words: Sequence[str]) -> None:
    running = services.inspect(site, "nginx")
    if not running:
        raise KitError("the stack has no nginx: make deploy")
    image = running["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    rendered = one_off.rendered(stack, model, image, {})
    services.remove(site, name)  # it would not run again
    services.deploy(site, {**part(rendered, []), "services": {name: job(rendered.content["services"]["nginx"], words)}})
    try:
        services.wait_job(site, name)
    except ReleaseError as error:
        said = error.log.strip().splitlines()
        place = re.search(r" \(on \S+\)$", str(error))
        raise KitError(
            f"{said[-1].removeprefix('maintenance: ')}{place[0] if place else ''}" if said else str(error)
        ) from None


def job(nginx: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """With nginx's image and rights, and of its volumes the one with the state."""
    kept = {key: nginx[key] for key in ("image", "user", "read_only", "cap_drop", "logging", "stop_grace_period")}
    deploy = {key: nginx["deploy"][key] for key in ("resources", "placement") if key in nginx["deploy"]}
    return {
        **kept,
        "command": list(words),
        "volumes": [each for each in nginx["volumes"] if each["target"] in ("/srv/state", "/tmp")],
        "networks": {"back": {}},
        "deploy": {**deploy, "mode": "global-job", "restart_policy": {"condition": "none"}},
    }
