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


VARIABLES = {8080: "HTTP_PORT", 8443: "HTTPS_PORT", 9090: "MONITOR_PORT"}
"""The variable for a port of a container."""


class Container(NamedTuple):
    project: str
    folder: str
    ports: str
    """As `docker ps` prints them: 127.0.0.1:8080->8080/tcp, ..."""


def check(
    model: Mapping[str, Any],
    containers: list[Container],
    root: Path,
    *,
    is_local: bool = True,
    owner: str = "",
    own: str = "",
) -> None:
    """Raises KitError if starting the compose project would take over another one, or needs a port that is in use.

    `model` is what `docker compose config` prints; `is_local`: the engine's ports are this machine's; `owner`: the
    PROJECT_ID of the image that is there, `own`: this project's. If they are equal, it was deployed from elsewhere.
    """
    name = model["name"]
    is_same = project_identity.has_digest(own) and project_identity.of(own) == project_identity.of(owner)
    way = (
        f"; if it is the same project, deployed from elsewhere: PROJECT_ID={project_identity.of(owner)}"
        if owner
        else ""
    )
    for container in containers if is_local and not is_same else ():  # a folder of another machine says nothing here
        if container.project == name and container.folder and Path(container.folder).resolve() != root:
            raise KitError(
                f"the compose project {name!r} belongs to {container.folder}: set COMPOSE_PROJECT_NAME in .env to"
                f" another name{way}; if that folder is gone, remove its containers: docker compose -p {name} down"
            )
    for port in published(model):
        owners = {container.project for container in containers if publishes(container, port.number, port.protocol)}
        if name in owners:
            continue
        if owners:
            other = ", ".join(sorted(owners)) or "another container"
            raise KitError(f"{port.variable}={port.number}: in use by {other}: {port.ways_out}")
        if is_local:
            _check_bind(port)


def check_owner(image: str, owner: str, own: str) -> None:
    """Raises KitError if the image, which a build would replace, is another project's: its containers may be down."""
    if owner and own and not project_identity.is_same(owner, own):
        raise KitError(
            f"the image {image} is of the project {owner!r}, and this one is {project_identity.of(own)!r}: set"
            " COMPOSE_PROJECT_NAME in .env to another name, since this one has that project's data (or"
            f" PROJECT_ID={project_identity.of(owner)}, if it is the same project)"
        )


class Port(NamedTuple):
    """One of this machine, which nginx or the monitor needs."""

    variable: str
    address: str
    number: int
    protocol: str

    @property
    def ways_out(self) -> str:
        """For a port that is in use."""
        if self.variable not in ("HTTP_PORT", "HTTPS_PORT"):
            return f"set {self.variable} in .env to another port"
        return (
            f"set {self.variable} in .env to another port, or put one proxy before both sites (docs/several-sites.md)"
        )


def published(model: Mapping[str, Any]) -> Iterator[Port]:
    """Not 0, which is any port."""
    for service in ("nginx", "monitor"):
        for port in model["services"].get(service, {}).get("ports", ()):
            if number := int(port.get("published") or 0):
                variable = VARIABLES.get(port["target"], "a port")
                yield Port(variable, port.get("host_ip", ""), number, port.get("protocol", "tcp"))


def _check_bind(port: Port) -> None:
    """Raises KitError if nothing can listen there."""
    fault = bind_error(port.address, port.number, port.protocol)
    if fault == errno.EADDRINUSE:
        raise KitError(f"{port.variable}={port.number}: in use by another program: {port.ways_out}")
    if fault in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        variable = "HTTP_ADDRESS_IPV6" if ":" in port.address else "HTTP_ADDRESS"
        raise KitError(
            f"{variable}={port.address!r}: this machine has no such address: ip address lists those that it has"
        )


def publishes(container: Container, port: int, protocol: str = "tcp") -> bool:
    return bool(re.search(rf"[:\]]{port}->[0-9]+/{protocol}", container.ports))


def is_in_use(address: str, port: int) -> bool:
    return bind_error(address, port) == errno.EADDRINUSE


def bind_error(address: str, port: int, protocol: str = "tcp") -> int | None:
    """The number of the error, if nothing can listen there; a port below 1024 is not this user's to try."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    try:
        with contextlib.closing(socket.socket(family, kind)) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        return error.errno
    return None


def read_list(output: str) -> list[Container]:
    """What LIST prints, with one container a line."""
    return [Container(*line.split("\t")) for line in output.splitlines() if line.count("\t") == 2]
