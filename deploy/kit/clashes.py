"""What another project on this machine has already, found before `up` touches anything: the name, and the ports."""

import contextlib
import errno
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import project_identity
from kit.errors import KitError

PROJECT = "com.docker.compose.project"
FOLDER = "com.docker.compose.project.working_dir"


LIST = ("ps", "--all", "--format", f'{{{{.Label "{PROJECT}"}}}}\t{{{{.Label "{FOLDER}"}}}}\t{{{{.Ports}}}}')
"""The arguments of docker for read_list."""


class Container(NamedTuple):
    project: str
    folder: str
    ports: str
    """As `docker ps` prints them: 127.0.0.1:8080->8080/tcp, ..."""


def check(model: Mapping[str, Any], containers: list[Container], root: Path, *, is_local: bool = True) -> None:
    """Raises KitError if starting the compose project would take over another one, or needs a port that is in use.

    `model` is what `docker compose config` prints; `is_local`: the engine's ports are this machine's.
    """
    name = model["name"]
    for container in containers if is_local else ():  # a folder of another machine says nothing here
        if container.project == name and container.folder and Path(container.folder).resolve() != root:
            raise KitError(
                f"the compose project {name!r} belongs to {container.folder}: set COMPOSE_PROJECT_NAME in .env to"
                f" another name; if that folder is gone, remove its containers: docker compose -p {name} down"
            )
    for variable, address, port in published(model):
        owners = {container.project for container in containers if publishes(container, port)}
        if name in owners:
            continue
        if owners:
            other = ", ".join(sorted(owners)) or "another container"
            raise KitError(f"{variable}={port}: in use by {other}: set {variable} in .env to another port")
        if is_local and is_in_use(address, port):
            raise KitError(f"{variable}={port}: in use by another program: set {variable} in .env to another port")


def check_owner(image: str, owner: str, own: str) -> None:
    """Raises KitError if the image, which a build would replace, is another project's: its containers may be down."""
    if owner and own and not project_identity.is_same(owner, own):
        raise KitError(
            f"the image {image} is of the project {owner!r}, and this one is {project_identity.of(own)!r}: set"
            " COMPOSE_PROJECT_NAME in .env to another name, since this one has that project's data (or"
            f" PROJECT_ID={project_identity.of(owner)}, if it is the same project)"
        )


def published(model: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """The variable, the address and the number of each port of this machine that nginx needs, but not 0 (any port)."""
    for port in model["services"]["nginx"].get("ports", ()):
        if number := int(port.get("published") or 0):
            variable = {8080: "HTTP_PORT", 8443: "HTTPS_PORT"}.get(port["target"], "a port")
            yield variable, port.get("host_ip", ""), number


def publishes(container: Container, port: int) -> bool:
    return bool(re.search(rf"[:\]]{port}->", container.ports))


def is_in_use(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def read_list(output: str) -> list[Container]:
    """What LIST prints, with one container a line."""
    return [Container(*line.split("\t")) for line in output.splitlines() if line.count("\t") == 2]
