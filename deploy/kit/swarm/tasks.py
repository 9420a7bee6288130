"""The containers of the stack that an engine has, by the labels that Swarm gives them.

Those of compose are on them too, since its images have them: they do not say which service of the stack it is.
"""

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from kit import compose, containers, env_files
from kit.containers import Container
from kit.errors import KitError
from kit.swarm import nodes
from kit.swarm.nodes import Engine, Swarm

NAMESPACE = "com.docker.stack.namespace"
SERVICE = "com.docker.swarm.service.name"


class Stack(NamedTuple):
    """The site, as a command finds it that does not deploy."""

    name: str
    swarm: Swarm
    values: Mapping[str, str]
    """The kit's variables."""
    environment: dict[str, str]
    """Of a call of docker on this node."""

    def engines(self) -> Iterator[Engine]:
        return nodes.engines(self.swarm, self.values, self.environment)


def find(environment: Mapping[str, str]) -> Stack:
    """Raises KitError if the engine is not a manager, or if the swarm does not have the stack."""
    prepared = compose.prepare(environment)
    swarm = nodes.find(prepared)
    name = compose.project_name(prepared)
    if not services(name, prepared):
        raise KitError(f"the swarm has no stack {name}: make deploy")
    return Stack(name, swarm, env_files.read_kit(environment), prepared)


def services(name: str, environment: Mapping[str, str]) -> list[str]:
    """The names of the stack's services, without the stack's."""
    words = ["service", "ls", "--filter", f"label={NAMESPACE}={name}", "--format", "{{.Name}}"]
    return sorted(each.removeprefix(f"{name}_") for each in containers.output(words, environment).split())


def on(engine: Engine, name: str) -> list[Container]:
    """The containers of the stack, also those that have ended, in the order of their names. Raises KitError."""
    return on_this_node(name, engine.environment)


def on_this_node(name: str, environment: Mapping[str, str]) -> list[Container]:
    """As `on`."""
    words = ["ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={NAMESPACE}={name}"]
    if not (identifiers := containers.output(words, environment).split()):
        return []
    # one may have gone meanwhile
    said = containers.call(["inspect", *identifiers], environment).stdout
    return containers.read(json.loads(said or "[]"), SERVICE, f"{name}_")


def running(stack: Stack, service: str) -> Iterator[tuple[Engine, Container]]:
    """On each engine that can be called, healthy ones first: those of this node precede the others."""
    for engine in stack.engines():
        found = [each for each in on(engine, stack.name) if each.service == service and each.is_running]
        for container in sorted(found, key=lambda each: each.health != "healthy"):
            yield engine, container
