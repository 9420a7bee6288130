"""`make doctor` for a swarm: what a manager knows of nodes and services, and what the containers of one node say."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any

from kit import containers
from kit.containers import Container
from kit.doctor import command, machine
from kit.doctor.findings import Finding, Findings, Topic
from kit.doctor.probes import Site
from kit.errors import KitError
from kit.logs.records import read_time
from kit.release import images
from kit.release.engine import Engine as Docker
from kit.release.output import Output
from kit.release.signals import Signals
from kit.release.site import Site as ReleaseSite
from kit.swarm import checks, findings, nodes, one_off, services, tasks
from kit.swarm.stack import JOBS

OF_THE_NODE: tuple[str, ...] = (
    "page",
    "errors",
    "proxies",
    "uploads",
    "secrets",
    "debug",
    "check --deploy",
    "database",
)
OF_THE_NODE += ("database", "disk", "memory", "descriptors", "updates")
"""Checks of a site on one machine that are true of the containers of one node too."""

CERTIFICATE = "put a valid one into the folder TLS_DIR, then make deploy; or HTTPS=off, if a load balancer ends TLS"
ASK_DATABASE = ("timeout", "30", "/kit/bin/entrypoint", "python", "/kit/bin/check_database.py")
"""What a release asks before it migrates."""


class SwarmSite(Site):
    """`environment` is that of a node that has the application and nginx, if one can be called."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(environment)
        self.stack = tasks.find(environment)
        self.engines = list(self.stack.engines())
        found = [(engine, tasks.on(engine, self.stack.name)) for engine in self.engines]
        best, self._found = max(found, key=lambda each: len({one.service for one in each[1] if one.is_running}))
        self.environment, self.node = best.environment, best.node

    @property
    def containers(self) -> list[Container]:
        return self._found

    def running(self, service: str) -> Container:
        try:
            return super().running(service)
        except KitError:
            raise KitError(f"no container of {service} runs on {self.node}") from None

    @cached_property
    def inspected(self) -> dict[str, dict[str, Any]]:
        """The services of the stack that go on."""
        names = [each for each in tasks.services(self.stack.name, self.stack.environment) if each not in JOBS]
        said = containers.output(
            ["service", "inspect", *(f"{self.stack.name}_{name}" for name in names)], self.stack.environment
        )
        found = {each["Spec"]["Name"].removeprefix(f"{self.stack.name}_"): each for each in json.loads(said)}
        return {name: each for name, each in found.items() if not any("Job" in mode for mode in each["Spec"]["Mode"])}

    @cached_property
    def release(self) -> ReleaseSite:
        """For those functions of a deployment that only look."""
        docker = Docker(self.stack.environment, Signals(), lambda _: None)
        image = images.read_name(f"{self.stack.name}-app")
        return ReleaseSite(docker, Output("doctor"), self.stack.name, image, {}, self.values)

    @cached_property
    def model(self) -> dict[str, Any]:
        said = containers.output(["compose", "config", "--format", "json"], self.stack.environment)
        return dict(json.loads(said))

    @property
    def several_hosts(self) -> bool:
        return len(nodes.hosts_of_application(self.stack.swarm, self.values)) > 1


def doctor(environment: Mapping[str, str], *, as_json: bool = False) -> int:
    """Exit status 1 if there is an error."""
    make = partial(SwarmSite, environment)
    return command.report(lambda progress: command.examine_site(make, CHECKS, progress), as_json=as_json)


def _nodes(site: SwarmSite) -> Findings:
    listed = [node.identifier for node in site.stack.swarm.nodes]
    said = containers.output(["node", "inspect", *listed], site.stack.environment)
    yield from findings.check_nodes(json.loads(said))


def _services(site: SwarmSite) -> Findings:
    problems: list[Finding] = []
    counts = {name: services.count(site.release, name) for name in site.inspected}
    for name, inspected in site.inspected.items():
        tasks_of_it = services.tasks(site.release, name)
        update = inspected.get("UpdateStatus") or {}
        problems += findings.check_service(name, counts[name], tasks_of_it, update, site.stack.name)
    yield from problems
    if not problems:
        listed = ", ".join(f"{counts[name].running} {name}" for name in sorted(counts))
        yield Topic("services").ok(f"{listed}: as many run as are wanted")


def _configuration(site: SwarmSite) -> Findings:
    topic = Topic("configuration")
    checks.check(site.model, site.values, site.stack.swarm)
    found = []
    for name, inspected in site.inspected.items():
        image, labels = inspected["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"], inspected["Spec"].get("Labels", {})
        wanted = one_off.rendered(site.stack, site.model, image, labels).content["services"].get(name)
        if wanted is None:
            found.append(topic.note(f"{name} runs, and .env does not have it any more", f"docker service rm {name}"))
        else:
            found += findings.check_drift(wanted, inspected, name)
    yield from found
    if not found:
        yield topic.ok("the services have the values of .env")


def _certificate(site: SwarmSite) -> Findings:
    for finding in command.CHECKS["certificate"](site):
        yield replace(finding, mend=CERTIFICATE) if "acme" in finding.mend else finding


def _several_hosts(site: SwarmSite) -> Findings:
    """What a release would refuse."""
    if not site.several_hosts:
        return
    words = ["exec", "--env", "SEVERAL_HOSTS=1", site.running("app").identifier, *ASK_DATABASE]
    done = containers.call(words, site.environment)
    said = (done.stderr.strip().splitlines() or [""])[-1].removeprefix("release: ")
    if done.returncode and "several hosts" in said:
        yield Topic("database").error(said, "docs/swarm.md, The database")


def _images(site: SwarmSite) -> Findings:
    on_all = {name: each["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] for name, each in site.inspected.items()}
    missing = {
        engine.node: [name for name, image in on_all.items() if not nodes.id_of(image, engine.environment)]
        for engine in site.engines
    }
    others = {node.hostname for node in site.stack.swarm.nodes if node.is_ready and node.is_active} - missing.keys()
    has_registry = bool(site.values.get("REGISTRY"))
    yield from findings.check_images({} if has_registry else missing, others, has_registry=has_registry)
    for service in site.built:
        yield from machine.check_image(service, site.created(service), datetime.now(UTC))


def _clocks(site: SwarmSite) -> Findings:
    ahead = {}
    for engine in site.engines:
        before = time.time()
        said = containers.call(["info", "--format", "{{.SystemTime}}"], engine.environment).stdout.strip()
        if there := read_time(said):
            ahead[engine.node] = there.timestamp() - (before + time.time()) / 2
    yield from findings.check_clocks(ahead)


CHECKS: dict[str, Callable[[SwarmSite], Findings]] = {
    "nodes": _nodes,
    "services": _services,
    "configuration": _configuration,
    "ports": lambda site: findings.check_ports(site.inspected),
    "hosts": _several_hosts,
    "images": _images,
    "clock": _clocks,
    **{name: command.CHECKS[name] for name in OF_THE_NODE},
    "certificate": _certificate,
}
"""In the order in which they are printed."""
