"""The stack that Docker Swarm gets: made of what `docker compose config` says, with the keys that Swarm acts on alone.

app       the application, in APP_REPLICAS containers: an update starts a new one before it stops an old one
nginx     one on each node, or on those that have the label, which publishes the node's own ports
release   a job that ends: it migrates the database, and the update waits for it
assets    a job on each node of nginx: it copies the static files of the release's image into a volume of the node
worker, scheduler, cron   if COMPOSE_PROFILES has them
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kit import times
from kit.swarm import files, keys
from kit.swarm.files import File
from kit.variables import read, read_integer

VERSION = "3.9"
"""Of the file's format. Those before have no `pids`, and later ones nothing that is used here."""

JOBS = ("release", "assets")
APPLICATIONS = ("app", "worker", "scheduler", "cron")
"""The services of the application's image that go on."""

NETWORKS = ("front", "back", "outbound")
EDGE_LABEL = "ropewalk.edge"
RELEASE_LABEL = "ropewalk.release"

BEFORE_LAST = 20  # seconds
"""Of START_PATIENCE: for the health checks that count, once the application has had its time to start."""

WITHOUT_DATABASE = {"ONLY_STATIC_FILES": "1", "MIGRATE_COMMAND": "true"}
"""For the job `assets`, as for a rollback in compose (kit.release.one_shot)."""

REPLICA, REPLICA_OF_NODE = "{{.Service.Name}}.{{.Task.Slot}}", "{{.Service.Name}}.{{.Node.Hostname}}"
"""For logs: Swarm fills them in."""

SCALES = ("worker",)
"""Services with more than one container, beside the application."""


class Images(NamedTuple):
    """What each node finds: a name in a registry, or the ID of an image that it has."""

    app: str
    nginx: str


class Wanted(NamedTuple):
    model: Mapping[str, Any]
    """What `docker compose config --format json` prints: each `$` in it is doubled, as the stack file needs it."""
    values: Mapping[str, str]
    """The kit's variables."""
    images: Images
    release: str
    """The tag."""
    replicas: int
    has_several_hosts: bool
    """Whether containers of the application may be on more than one node."""
    subnet: str = ""
    """Of the network `back`; empty before it is there."""
    only_new_files: bool = True
    """Static files that the release before it serves under the same names are left for later."""

    @property
    def name(self) -> str:
        return str(self.model["name"])


class Stack(NamedTuple):
    content: dict[str, Any]
    """The stack file."""
    files: list[File]


def render(wanted: Wanted) -> Stack:
    """Raises KitError."""
    found: dict[str, list[File]] = {}
    services = {}
    described = wanted.model["services"]
    for name in ("app", "nginx", "worker", "scheduler", "cron", "release"):
        if name in described:
            found[name] = _files_of(name, wanted)
            services[name] = _service(name, described[name], wanted, found[name])
    services["assets"] = _assets(wanted)
    content = {
        "version": VERSION,
        "services": services,
        "networks": {name: _network(wanted.model["networks"].get(name) or {}) for name in NETWORKS},
        "volumes": {name: {} for name in sorted(_volumes(services.values()))},
    }
    every = {file.name: file for each in found.values() for file in each}
    for kind in ("secret", "config"):
        if names := sorted(file.name for file in every.values() if file.kind == kind):
            content[f"{kind}s"] = {name: {"external": True, "name": name} for name in names}
    keys.check(content)
    return Stack(content, list(every.values()))


def part(stack: Stack, names: Iterable[str]) -> dict[str, Any]:
    """The stack file with these services alone: those that are left out stay as they are."""
    services = {name: stack.content["services"][name] for name in names}
    return {**stack.content, "services": services}


def _files_of(name: str, wanted: Wanted) -> list[File]:
    if name == "nginx":
        return files.of_nginx(wanted.name, wanted.values)
    return files.of_application(wanted.name, _environment(name, wanted)[1])


def _environment(name: str, wanted: Wanted) -> tuple[dict[str, str], dict[str, str]]:
    """The public part, in which a `$` is doubled, and the secret one, in which it is not."""
    given = wanted.model["services"][name].get("environment") or {}
    given = {key: value for key, value in given.items() if value is not None}
    # nginx needs some seconds to notice that a container has left: it asks the DNS (nginx/watch-upstream)
    changed = {"DRAIN_DELAY": str(_chain(wanted)["DRAIN_DELAY"])} if "DRAIN_DELAY" in given else {}
    changed |= {"STOP_GRACE_PERIOD": _stop_grace(wanted)} if "STOP_GRACE_PERIOD" in given else {}
    # The name of a network is known to a container of Swarm only once it is healthy, its addresses are before.
    if given.get("FORWARDED_ALLOW_IPS") == "back" and wanted.subnet:
        changed["FORWARDED_ALLOW_IPS"] = wanted.subnet
    # by Swarm, a file has another way
    given = {key: value for key, value in given.items() if key != "TLS_DIR"} | changed
    given |= {"NODE_NAME": "{{.Node.Hostname}}", "REPLICA_NAME": REPLICA_OF_NODE if name == "nginx" else REPLICA}
    if name == "nginx":
        return given, {}
    public, secret = files.split(given)
    return public, {key: value.replace("$$", "$") for key, value in secret.items()}


def _chain(wanted: Wanted) -> dict[str, int]:
    """With the images' own DRAIN_DELAY, unless one is given: compose's is 0, since it stops what nginx has left."""
    return times.chain(wanted.values)


def _stop_grace(wanted: Wanted) -> str:
    return times.stop_grace_period(wanted.values)


def _service(name: str, described: Mapping[str, Any], wanted: Wanted, own: list[File]) -> dict[str, Any]:
    public, _ = _environment(name, wanted)
    if name == "release":
        public.pop("ASSETS_DIR", None)  # that is the job of `assets`
        public |= {"SEVERAL_HOSTS": "1"} if wanted.has_several_hosts else {}
    service: dict[str, Any] = {
        "image": wanted.images.nginx if name == "nginx" else wanted.images.app,
        **({"command": described["command"]} if described.get("command") else {}),
        "user": described["user"],
        "read_only": True,
        "cap_drop": described["cap_drop"],
        **({"init": True} if described.get("init") else {}),
        "stop_grace_period": _stop_grace(wanted),
        "environment": dict(sorted(public.items())),
        "volumes": [*_mounts(described, name), *_tmpfs(described)],
        "networks": _networks(name),
        "logging": described["logging"],
        "deploy": _deploy(name, described, wanted),
    }
    for kind in ("secret", "config"):
        if mounts := [file.mount for file in own if file.kind == kind]:
            service[f"{kind}s"] = mounts
    if "ulimits" in described:
        service["ulimits"] = described["ulimits"]
    if "healthcheck" in described:
        service["healthcheck"] = dict(described["healthcheck"])
        if name == "app":
            service["healthcheck"]["start_period"] = f"{max(_patience(wanted) - BEFORE_LAST, 1)}s"
    if name == "nginx":
        service["ports"] = _ports(described)
    return service


def _patience(wanted: Wanted) -> int:
    return read_integer("START_PATIENCE", wanted.values)


def _networks(name: str) -> dict[str, Any]:
    if name == "nginx":
        return {"front": {}, "back": {}}
    return {"back": {}, "outbound": {}}


def _mounts(described: Mapping[str, Any], service: str) -> list[dict[str, Any]]:
    """Volumes of the node. Folders of this machine have become files of the swarm, and `services` is of containers that
    the stack does not have."""
    left_out = {"/srv/services"} | ({"/srv/assets"} if service == "release" else set())
    return [
        {
            "type": "volume",
            "source": mount["source"],
            "target": mount["target"],
            **({"read_only": True} if mount.get("read_only") else {}),
        }
        for mount in described.get("volumes", [])
        if mount["type"] == "volume" and mount["target"] not in left_out
    ]


def _tmpfs(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Swarm gives each the mode 1777 and noexec, nosuid, nodev: what docker-compose.yml asks for."""
    found = []
    for line in described.get("tmpfs", []):
        target, _, options = line.partition(":")
        size = next(each.partition("=")[2] for each in options.split(",") if each.startswith("size="))
        found.append(_memory(target, size))
    return found


def _memory(target: str, size: str) -> dict[str, Any]:
    return {"type": "tmpfs", "target": target, "tmpfs": {"size": octets(size)}}


def octets(size: str) -> int:
    """Of 80m."""
    unit = size[-1:].lower()
    return int(size[:-1]) << {"k": 10, "m": 20, "g": 30}[unit] if unit in "kmg" else int(size)


def _ports(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of the node itself: Swarm's own mesh would show nginx the address of a node instead of the visitor's."""
    found = {(port["target"], int(port["published"]), port["protocol"]) for port in described["ports"]}
    return [
        {"target": target, "published": published, "protocol": protocol, "mode": "host"}
        for target, published, protocol in sorted(found)
    ]


def _deploy(name: str, described: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    deploy = {**_mode(name, described, wanted), "labels": {}, "resources": _limits(described)}
    if name != "nginx":  # which is left alone by a release
        deploy["labels"] = {
            RELEASE_LABEL: wanted.release,
            **(_scrape_labels(described, wanted) if name == "app" else {}),
        }
    if placed := _constraints(name, wanted):
        deploy["placement"] = {"constraints": placed}
    if name in JOBS:
        return deploy | {"restart_policy": {"condition": "none"}}
    monitor = f"{_patience(wanted)}s"
    # a port has one owner, and of some services there must be only one
    order = "start-first" if name in ("app", "worker") else "stop-first"
    way = {"parallelism": 1, "order": order, "monitor": monitor, "max_failure_ratio": 0}
    return deploy | {
        "endpoint_mode": "dnsrr",
        "restart_policy": {"condition": "any", "delay": "2s"},
        "update_config": {**way, "failure_action": "rollback"},
        "rollback_config": {**way, "monitor": "5s", "failure_action": "pause"},
    }


def _scrape_labels(described: Mapping[str, Any], wanted: Wanted) -> dict[str, str]:
    """For a Prometheus in the swarm (deploy/monitor/jobs/swarm.yml), if ADMIN_BIND is an address that it reaches."""
    host, _, port = ((described.get("environment") or {}).get("ADMIN_BIND") or "").rpartition(":")
    if not host or host.startswith("127."):
        return {}
    labels = {"scrape": "true", "port": port, "network": f"{wanted.name}_outbound"}
    return {f"prometheus.io/{name}": value for name, value in labels.items()}


def _mode(name: str, described: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    if name == "nginx":
        return {"mode": "global"}
    if name == "release":
        return {"mode": "replicated-job", "replicas": 1}
    if name == "app":
        return {"mode": "replicated", "replicas": wanted.replicas}
    return {"mode": "replicated", "replicas": int(described.get("scale") or 1) if name in SCALES else 1}


def _limits(described: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "limits": {
            "cpus": str(described["cpus"]),
            "memory": f"{described['mem_limit']}b",
            "pids": described["pids_limit"],
        }
    }


def _constraints(name: str, wanted: Wanted) -> list[str]:
    if name == "nginx":
        return edge_constraints(wanted.values)
    return read("APP_CONSTRAINTS", wanted.values).split()


def edge_constraints(values: Mapping[str, str]) -> list[str]:
    """Of the nodes with nginx."""
    return [f"node.labels.{EDGE_LABEL}==1"] if read("EDGE_NODES", values) == "labelled" else []


def _assets(wanted: Wanted) -> dict[str, Any]:
    """As `release`, on each node of nginx, without a database and the project's own variables."""
    described = wanted.model["services"]["release"]
    public, _ = _environment("release", wanted)
    public |= {
        "ASSETS_DIR": "/srv/assets",
        **WITHOUT_DATABASE,
        **({"ONLY_NEW_FILES": "1"} if wanted.only_new_files else {}),
    }
    service = _service("release", described, wanted, [])
    constraints = edge_constraints(wanted.values)
    deploy = {key: value for key, value in service["deploy"].items() if key not in ("replicas", "placement")}
    return {
        **service,
        "environment": dict(sorted(public.items())),
        "volumes": [{"type": "volume", "source": "assets", "target": "/srv/assets"}, *service["volumes"]],
        "deploy": {
            **deploy,
            "mode": "global-job",
            **({"placement": {"constraints": constraints}} if constraints else {}),
        },
    }


def _volumes(services: Iterable[Mapping[str, Any]]) -> set[str]:
    return {mount["source"] for each in services for mount in each["volumes"] if mount["type"] == "volume"}


def _network(described: Mapping[str, Any]) -> dict[str, Any]:
    return {"driver": "overlay", **({"internal": True} if described.get("internal") else {})}
