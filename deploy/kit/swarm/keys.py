"""The keys of a stack file that Docker Swarm acts on. It ignores others, often without a word: a stack that has one
would rely on what does not happen.

Checked for each stack that is rendered. The lists are what `docker stack deploy` of Docker 23 and later converts
(docker/cli, cli/compose/convert); of the keys that it knows, only those that the kit uses.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kit.errors import KitError


def _keys(names: str) -> frozenset[str]:
    return frozenset(names.split())


SERVICE = _keys(
    "cap_drop command configs deploy environment healthcheck image init labels logging networks ports read_only secrets"
    " stop_grace_period ulimits user volumes"
)
"""Not among them, though compose acts on them: build, container_name, cpus, depends_on, devices, env_file, extends,
links, mem_limit, network_mode, pids_limit, profiles, pull_policy, restart, scale, security_opt, shm_size, tmpfs."""

DEPLOY = _keys("endpoint_mode labels mode placement replicas resources restart_policy rollback_config update_config")
UPDATE = _keys("delay failure_action max_failure_ratio monitor order parallelism")
MOUNTS = {"volume": _keys("read_only source target type"), "tmpfs": _keys("target tmpfs type")}
PORT = _keys("mode protocol published target")
"""`host_ip` is not one: Swarm publishes on every address of a node."""
FILE = _keys("gid mode source target uid")
TOP = _keys("configs networks secrets services version volumes")
NETWORK = _keys("driver internal")


def check(stack: Mapping[str, Any]) -> None:
    """Raises KitError, with the place of the first key that Swarm would ignore."""
    for place in ignored(stack):
        raise KitError(f"internal error: Swarm ignores the key {place}")


def ignored(stack: Mapping[str, Any]) -> Iterator[str]:
    """The places of such keys, such as services.app.restart."""
    yield from _others(stack, TOP, "")
    for name, network in stack.get("networks", {}).items():
        yield from _others(network, NETWORK, f"networks.{name}.")
    for name, service in stack["services"].items():
        place = f"services.{name}."
        yield from _others(service, SERVICE, place)
        deploy = service.get("deploy", {})
        yield from _others(deploy, DEPLOY, f"{place}deploy.")
        for key in ("update_config", "rollback_config"):
            yield from _others(deploy.get(key, {}), UPDATE, f"{place}deploy.{key}.")
        for mount in service.get("volumes", []):
            yield from _others(mount, MOUNTS.get(mount["type"], frozenset()), f"{place}volumes.")
        for port in service.get("ports", []):
            yield from _others(port, PORT, f"{place}ports.")
        for file in (*service.get("secrets", []), *service.get("configs", [])):
            yield from _others(file, FILE, f"{place}secrets.")


def _others(found: Mapping[str, Any], known: frozenset[str], place: str) -> Iterator[str]:
    for key in found:
        if key not in known:
            yield f"{place}{key}"
