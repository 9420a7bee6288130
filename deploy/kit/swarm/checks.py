"""What a stack cannot have, and what has to be set: each one line, before anything is built."""

from collections.abc import Mapping
from typing import Any

from kit import containers
from kit.errors import KitError
from kit.swarm import nodes
from kit.swarm.nodes import Swarm
from kit.swarm.stack import APPLICATIONS

INSTEAD = {
    "acme": "several nodes need a certificate from a folder (TLS_DIR), or a load balancer in front (HTTPS=off)",
    "backup": "back the database up where it is",
    "monitor": "scrape the application's metrics from a Prometheus of your own",
    "postgres": "DATABASE_URL=postgres://... names a server that the nodes reach",
    "redis": "REDIS_URL=redis://... names a server that the nodes reach",
}
"""Profiles of docker-compose.yml that belong to one machine."""

TASK = "com.docker.swarm.task.id"
"""A label of Swarm's containers."""

FOLDERS = ("/srv/tls", "/kit/nginx/pages/own")
"""What may be a folder of this machine, since its files become secrets and configs."""


def check(model: Mapping[str, Any], values: Mapping[str, str], swarm: Swarm) -> None:
    """Raises KitError."""
    _check_services(model)
    _check_mounts(model)
    _check_addresses(values)
    several = len(nodes.hosts_of_application(swarm, values)) > 1
    nodes.hosts_of_nginx(swarm, values)
    if several:
        _check_database(model)
        _check_key(model, values)


def _check_services(model: Mapping[str, Any]) -> None:
    for name in model["services"]:
        if name in INSTEAD:
            raise KitError(f"COMPOSE_PROFILES: {name} is not for TARGET=swarm: {INSTEAD[name]}")
        if name not in (*APPLICATIONS, "nginx", "release"):
            raise KitError(f"the service {name} is not the kit's: TARGET=swarm needs it in a stack of its own")


def _check_mounts(model: Mapping[str, Any]) -> None:
    for name, service in model["services"].items():
        for mount in service.get("volumes", []):
            if mount["type"] != "volume" and mount["target"] not in FOLDERS:
                raise KitError(f"{name}: {mount['target']} is {mount.get('source', '')}, which other nodes do not have")


def _check_addresses(values: Mapping[str, str]) -> None:
    given = values.get("HTTP_ADDRESS") or "127.0.0.1"
    if given != "0.0.0.0":
        raise KitError(
            f"HTTP_ADDRESS={given!r}: must be 0.0.0.0, since Swarm publishes on every address of a node (a firewall"
            " keeps others out)"
        )
    if ipv6 := values.get("HTTP_ADDRESS_IPV6"):
        raise KitError(f"HTTP_ADDRESS_IPV6={ipv6!r}: must be unset, since overlay networks of Swarm have IPv4 alone")


def _check_database(model: Mapping[str, Any]) -> None:
    """What is evident; for the rest, the release asks the project before it migrates (deploy/app/check_database.py)."""
    given = (model["services"]["app"].get("environment") or {}).get("DATABASE_URL") or ""
    if given.startswith("sqlite"):
        raise KitError(
            f"DATABASE_URL={given!r}: SQLite is for one host, and the application may run on several: name a PostgreSQL"
            " server, or keep it on one host (APP_CONSTRAINTS=node.hostname==NAME)"
        )


def _check_key(model: Mapping[str, Any], values: Mapping[str, str]) -> None:
    """The sample project would make one in the volume of each node."""
    given = model["services"]["app"].get("environment") or {}
    if not values.get("PROJECT_DIR") and not (given.get("SECRET_KEY") or given.get("SECRET_KEY_FILE")):
        raise KitError(
            "SECRET_KEY is not set: on several hosts, each would make a key of its own. Put one into .env, such as what"
            " openssl rand -hex 32 prints"
        )


def check_compose(name: str, environment: Mapping[str, str]) -> None:
    """Raises KitError if the same site runs by compose: it has the ports, and networks of the same names."""
    found = containers.of_project(name, environment)
    # the labels of compose are also those of the images that it has built
    if any(each.is_running and TASK not in each.inspected["Config"]["Labels"] for each in found):
        raise KitError(f"{name} runs by docker compose on this machine: make down, which keeps its data, then again")
