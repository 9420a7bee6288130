"""The containers of the compose project, as the engine knows them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kit import failures
from kit.clashes import PROJECT
from kit.release.engine import Engine

SERVICE = "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"
NUMBER = "com.docker.compose.container-number"


class Container(NamedTuple):
    identifier: str
    name: str
    state: str
    """running, exited, restarting, created, ..."""
    health: str
    """healthy, unhealthy, starting, or empty without a health check."""
    restarts: int
    image_id: str
    number: int
    service: str
    stop_grace: int
    """Seconds from SIGTERM to SIGKILL."""
    addresses: Mapping[str, str]
    """Its IPv4 address on each network, by the network's id."""
    published: Mapping[str, str]
    """The port of the engine's machine that leads to a port of the container, both as text: that of 8080/tcp."""
    failure: failures.Container

    @property
    def is_up(self) -> bool:
        """Also one that is restarted again and again: it is still a container of this service."""
        return self.state in ("running", "restarting", "paused")

    @property
    def is_ailing(self) -> bool:
        """It does not do its work; also between two of its restarts."""
        return self.state != "running" or self.health == "unhealthy" or (self.restarts > 0 and self.health != "healthy")


def read(inspected: Mapping[str, Any]) -> Container:
    """From an entry of `docker inspect`."""
    state, config = inspected["State"], inspected["Config"]
    networks = inspected.get("NetworkSettings", {}).get("Networks") or {}
    return Container(
        identifier=inspected["Id"],
        name=inspected.get("Name", "").removeprefix("/"),
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        restarts=int(inspected.get("RestartCount") or 0),
        image_id=inspected.get("Image", ""),
        number=int((config.get("Labels") or {}).get(NUMBER) or 0),
        service=(config.get("Labels") or {}).get(SERVICE, ""),
        stop_grace=int(config.get("StopTimeout") or 10),
        addresses={each["NetworkID"]: each["IPAddress"] for each in networks.values() if each.get("IPAddress")},
        published={
            name: bound[0].get("HostPort", "")
            for name, bound in (inspected.get("NetworkSettings", {}).get("Ports") or {}).items()
            if bound
        },
        failure=failures.read_container(inspected),
    )


def find(engine: Engine, project: str, service: str = "") -> list[Container]:
    """Those of one service, or of all, in the order of their numbers, also those that have ended."""
    filters = [f"--filter=label={PROJECT}={project}", *([f"--filter=label={SERVICE}={service}"] if service else [])]
    listed = engine.output("ps", "--all", "--quiet", "--no-trunc", f"--filter=label={ONE_OFF}=False", *filters)
    return inspect(engine, listed.split())


def all_of(engine: Engine, project: str) -> list[Container]:
    """Those of every service, also those that have ended."""
    listed = engine.output("ps", "--all", "--quiet", "--no-trunc", f"--filter=label={PROJECT}={project}")
    return inspect(engine, listed.split())


def inspect(engine: Engine, identifiers: Iterable[str]) -> list[Container]:
    """Those of them that exist."""
    wanted = list(identifiers)
    if not wanted:
        return []
    done = engine.run("container", "inspect", *wanted)  # it fails if one is missing, and prints the others
    return sorted(map(read, json.loads(done.output or "[]")), key=lambda container: container.number)


def log_of(engine: Engine, identifier: str) -> str:
    """The end of a container's log, both streams in their order; empty if it has gone."""
    logged = engine.run("logs", "--tail", "1000", identifier, merge=True)
    return logged.output if logged.status == 0 else ""


def shared_address(container: Container, other: Container) -> str:
    """Where `other` reaches the container; empty if it has no address on a network of the other's."""
    return next((address for network, address in container.addresses.items() if network in other.addresses), "")


def stop(engine: Engine, containers: list[Container]) -> None:
    """Stops them together, each within its own period of grace."""
    grace = max((container.stop_grace for container in containers), default=0)
    engine.together([["stop", container.identifier] for container in containers if container.is_up], grace + 30)


def remove(engine: Engine, containers: Iterable[Container]) -> None:
    """Also those that run. No error if one has gone."""
    if identifiers := [container.identifier for container in containers]:
        engine.run("rm", "--force", "--volumes", *identifiers)
