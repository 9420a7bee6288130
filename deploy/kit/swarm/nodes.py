"""The nodes of a swarm, and the images on them."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kit import containers
from kit.errors import KitError
from kit.remote import connection, images, server
from kit.swarm.stack import edge_constraints
from kit.variables import read

CONSTRAINT = re.compile(r"(node(?:\.[A-Za-z0-9_.-]+)+)\s*(==|!=)\s*(\S+)")
ENDPOINT = re.compile(r"(?:ssh|tcp)://\S+|unix:///\S+|[A-Za-z0-9._-]+@[A-Za-z0-9.:-]+")
OF_SSH = re.compile(r"has exited with exit status (\d+).*?stderr=(.*)", re.DOTALL)
"""In what docker prints if the connection fails."""
ASK_NODE = "{{.Swarm.NodeID}}"


class Node(NamedTuple):
    identifier: str
    hostname: str
    role: str
    """manager or worker"""
    labels: Mapping[str, str]
    is_ready: bool
    is_active: bool
    """False: drained or paused."""
    address: str = ""
    """At which the other nodes reach it."""

    def value_of(self, key: str) -> str | None:
        """Of a constraint's key; None for one that is not known here."""
        own = {"node.id": self.identifier, "node.hostname": self.hostname, "node.role": self.role}
        if key.startswith("node.labels."):
            return self.labels.get(key.removeprefix("node.labels."), "")
        return own.get(key)


class Swarm(NamedTuple):
    own: str
    """The identifier of the node whose engine is asked."""
    nodes: list[Node]

    def on_which(self, constraints: Sequence[str]) -> list[Node]:
        """Those that satisfy all; one that is not known here rules none out."""
        return [node for node in self.nodes if all(satisfies(node, each) for each in constraints)]


def find(environment: Mapping[str, str]) -> Swarm:
    """Raises KitError if the engine is not a manager of a swarm."""
    info = json.loads(containers.output(["info", "--format", "{{json .Swarm}}"], environment))
    if info.get("LocalNodeState") != "active":
        raise KitError("this engine is in no swarm: docker swarm init, on a machine that other nodes reach")
    if not info.get("ControlAvailable"):
        raise KitError("this engine is a worker of its swarm: HOST=user@manager, or call it on a manager")
    listed = containers.output(["node", "ls", "--quiet"], environment).split()
    return Swarm(info["NodeID"], read_nodes(json.loads(containers.output(["node", "inspect", *listed], environment))))


def read_nodes(inspected: Iterable[Mapping[str, Any]]) -> list[Node]:
    return [
        Node(
            identifier=each["ID"],
            hostname=each["Description"]["Hostname"],
            role=each["Spec"]["Role"],
            labels=each["Spec"].get("Labels") or {},
            is_ready=each["Status"]["State"] == "ready",
            is_active=each["Spec"]["Availability"] == "active",
            address=_address(each),
        )
        for each in inspected
    ]


def _address(inspected: Mapping[str, Any]) -> str:
    """A manager may know itself by no address but that of its own port."""
    address = str(inspected["Status"].get("Addr") or "")
    if address in ("", "0.0.0.0", "127.0.0.1"):
        own, _, _ = str((inspected.get("ManagerStatus") or {}).get("Addr") or "").rpartition(":")
        return own.strip("[]") or address
    return address


def check_constraints(constraints: Iterable[str]) -> None:
    """Raises KitError."""
    for each in constraints:
        if not CONSTRAINT.fullmatch(each):
            raise KitError(
                f"APP_CONSTRAINTS: {each!r}: must be like node.labels.zone==a, node.hostname!=gate, separated by spaces"
            )


def satisfies(node: Node, constraint: str) -> bool:
    found = CONSTRAINT.fullmatch(constraint)
    value = node.value_of(found[1]) if found else None
    return found is None or value is None or (value == found[3]) == (found[2] == "==")


def hosts_of_application(swarm: Swarm, values: Mapping[str, str]) -> list[Node]:
    """Also those that are drained or down now: they may come back."""
    constraints = read("APP_CONSTRAINTS", values).split()
    check_constraints(constraints)
    found = swarm.on_which(constraints)
    if not found:
        raise KitError(f"APP_CONSTRAINTS={' '.join(constraints)!r}: no node of the swarm satisfies it")
    return found


def hosts_of_nginx(swarm: Swarm, values: Mapping[str, str]) -> list[Node]:
    """Raises KitError if there is none."""
    found = swarm.on_which(edge_constraints(values))
    if not found:
        raise KitError(
            "EDGE_NODES='labelled': no node has the label: docker node update --label-add ropewalk.edge=1 NODE"
        )
    return found


def endpoints(values: Mapping[str, str]) -> list[str]:
    """Of SWARM_NODES, as DOCKER_HOST has them. Raises KitError."""
    found = []
    for each in read("SWARM_NODES", values).split():
        if not ENDPOINT.fullmatch(each):
            raise KitError(f"SWARM_NODES: {each!r}: must be user@node, ssh://user@node or unix:///PATH")
        found.append(each if "://" in each else f"ssh://{each}")
    return found


def subnet_of(network: str, environment: Mapping[str, str]) -> str:
    """Empty if there is no such network."""
    template = "{{range .IPAM.Config}}{{.Subnet}} {{end}}"
    done = containers.call(["network", "inspect", "--format", template, network], environment)
    return (done.stdout.split() or [""])[0] if done.returncode == 0 else ""


class Engine(NamedTuple):
    """One that can be called from here."""

    node: str
    """Its hostname."""
    environment: dict[str, str]
    """Of a call of docker."""


def engines(swarm: Swarm, values: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Engine]:
    """That of this node, and then those of SWARM_NODES which answer: each is asked only when it is its turn."""
    names = {node.identifier: node.hostname for node in swarm.nodes}
    yield Engine(names[swarm.own], dict(environment))
    for endpoint in endpoints(values):
        its = dict(environment) | {"DOCKER_HOST": endpoint}
        done = containers.call(["info", "--format", ASK_NODE], its)
        identifier = done.stdout.strip()
        if done.returncode == 0 and identifier in names and identifier != swarm.own:
            yield Engine(names[identifier], its)


class Others(NamedTuple):
    """The engines of the other nodes, each with the variables of a call of docker; none with a registry."""

    reached: dict[str, dict[str, str]]
    """By the hostname of the node."""


def reach(swarm: Swarm, values: Mapping[str, str], environment: Mapping[str, str]) -> Others:
    """Raises KitError, before anything is built, if a node that is up would not get its images."""
    if values.get("REGISTRY"):
        return Others({})
    needed = {each.identifier: each for each in (*hosts_of_application(swarm, values), *hosts_of_nginx(swarm, values))}
    known = {each.identifier: each for each in swarm.nodes}
    reached = {}
    for endpoint in endpoints(values):
        its = dict(environment) | {"DOCKER_HOST": endpoint}
        done = containers.call(["info", "--format", ASK_NODE], its)
        identifier = done.stdout.strip()
        if done.returncode:
            if all(node.is_ready for node in swarm.nodes):  # otherwise it may be the engine of one that is down
                raise KitError(f"SWARM_NODES: {endpoint} does not answer: {reason(endpoint, done.stderr)}")
            continue
        if identifier not in known:
            raise KitError(f"SWARM_NODES: {endpoint} is no node of this swarm")
        reached[identifier] = its
    missing = [
        node.hostname
        for identifier, node in needed.items()
        if node.is_ready and node.is_active and identifier not in (swarm.own, *reached)
    ]
    if missing:
        raise KitError(
            f"the images would not reach {', '.join(sorted(missing))}: set REGISTRY, or their engines in SWARM_NODES"
        )
    return Others({known[identifier].hostname: its for identifier, its in reached.items() if identifier != swarm.own})


def reason(endpoint: str, said: str) -> str:
    """Why docker cannot call this engine, from what it printed, in one line."""
    if (by_ssh := OF_SSH.search(said)) and endpoint.startswith("ssh://"):
        return connection.reason(server.read(endpoint), int(by_ssh[1]), by_ssh[2])
    return (said.strip().splitlines() or ["it says nothing"])[-1]


def send(others: Others, names: Sequence[str], here: Mapping[str, str], progress: images.Progress) -> dict[str, int]:
    """Loads the images on each, without the layers that it has: the octets that were sent. Raises KitError."""
    wanted = {name: id_of(name, here) for name in names}
    sent = {}
    for hostname, there in others.reached.items():
        missing = [name for name, identifier in wanted.items() if id_of(name, there) != identifier]
        sent[hostname] = images.transfer(missing, here, there, progress) if missing else 0
        for name in missing:
            if id_of(name, there) != wanted[name]:
                raise KitError(
                    f"{hostname}: {name} has another ID there, since its engine stores images in another way than this"
                    " one's (containerd): set REGISTRY"
                )
    return sent


def id_of(name: str, environment: Mapping[str, str]) -> str:
    """Empty if there is no such image."""
    done = containers.call(["image", "inspect", "--format", "{{.Id}}", name], environment)
    return done.stdout.strip() if done.returncode == 0 else ""
