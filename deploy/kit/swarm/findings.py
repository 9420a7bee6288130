"""Findings about a swarm and a stack in it, from what a manager says of them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kit import units
from kit.doctor.findings import Findings, Topic
from kit.swarm.services import ENDED, FAILED, GOING_ON, Count, Task

LEAST_ENGINE = 23
"""Docker's version: older ones ignore keys of the stack file."""
AWAY = {"drain": "drained", "pause": "paused"}
CLOCKS = 5.0  # seconds: as kit.doctor.machine.check_clock
SHOWN = 3


def check_nodes(inspected: Sequence[Mapping[str, Any]]) -> Findings:
    """`inspected`: as `docker node inspect` prints them."""
    topic = Topic("nodes")
    problems = [finding for node in inspected for finding in _node(topic, node)]
    yield from problems
    yield from _managers(topic, inspected)
    versions: dict[str, list[str]] = {}
    for node in inspected:
        versions.setdefault(_version(node), []).append(_name(node))
    if len(versions) > 1:
        listed = "; ".join(f"{version}: {', '.join(sorted(names))}" for version, names in sorted(versions.items()))
        yield topic.note(f"the nodes have several versions of Docker: {listed}", "one version, node by node")
    if not problems:
        yield topic.ok(f"{', '.join(sorted(map(_name, inspected)))}: ready, Docker {', '.join(sorted(versions))}")


def _node(topic: Topic, node: Mapping[str, Any]) -> Findings:
    name, state, availability = _name(node), node["Status"]["State"], node["Spec"]["Availability"]
    if state != "ready":
        said = node["Status"].get("Message")
        text = f"{name} is {state}{f': {said}' if said else ''}"
        yield topic.error(text, f"start it, or if it does not come back: docker node rm --force {name}")
    elif availability != "active":
        yield topic.note(
            f"{name} is {AWAY.get(availability, availability)}: nothing starts there",
            f"docker node update --availability active {name}",
        )
    if (major := re.match(r"\d+", _version(node))) and int(major[0]) < LEAST_ENGINE:
        yield topic.error(f"{name} has Docker {_version(node)}", f"Docker {LEAST_ENGINE} or later")


def _managers(topic: Topic, inspected: Sequence[Mapping[str, Any]]) -> Findings:
    managers = [node for node in inspected if node["Spec"]["Role"] == "manager"]
    reachable = [node for node in managers if (node.get("ManagerStatus") or {}).get("Reachability") == "reachable"]
    spare = len(reachable) - (len(managers) // 2 + 1)
    if spare > 0:
        return
    count = f"{len(managers)} manager{'s' if len(managers) > 1 else ''}"
    if len(reachable) < len(managers):
        count += f", {len(reachable)} of which can be reached"
    text = f"{count}: if one fails, nothing can be changed until it is back; the site goes on"
    if len(inspected) < 3:
        yield topic.note(text, "three nodes")
    else:
        yield topic.warning(text, "three managers: docker node promote NODE")


def _name(node: Mapping[str, Any]) -> str:
    return str(node["Description"]["Hostname"])


def _version(node: Mapping[str, Any]) -> str:
    return str(node["Description"].get("Engine", {}).get("EngineVersion", ""))


def check_service(name: str, count: Count, tasks: Sequence[Task], update: Mapping[str, str], stack: str) -> Findings:
    """`tasks`: the newest first, those that Swarm keeps; `update`: UpdateStatus."""
    topic = Topic("services")
    logs = f"make logs SERVICE={name}"
    failed = [task for task in tasks if task.state in FAILED]
    waiting = [task for task in tasks if task.state == "Pending" and task.error]
    if count.running < count.wanted:
        why = next((task.error for task in (*waiting, *failed) if task.error), "")
        text = f"{name}: {count.running} of {count.wanted} containers run{f': {why}' if why else ''}"
        mend = f"docker service ps --no-trunc {stack}_{name}" if waiting else logs
        yield topic.warning(text, mend) if count.running else topic.error(text, mend)
    elif failed:
        places = ", ".join(f"{task.error or 'it ended'} (on {task.node})" for task in failed[:SHOWN])
        yield topic.warning(f"{name}: {_times(len(failed))} a container has failed: {places}", logs)
    yield from _update(topic, name, update, stack)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _update(topic: Topic, name: str, update: Mapping[str, str], stack: str) -> Findings:
    state, said = update.get("State", ""), update.get("Message", "")
    if state in GOING_ON:
        yield topic.note(f"{name}: Swarm is replacing its containers ({said or state})")
    elif state == "rollback_completed":
        yield topic.warning(f"{name}: Swarm has taken the last update back", "make releases; then make deploy again")
    elif not ENDED.get(state, True):
        yield topic.error(f"{name}: {said or state}", f"docker service ps {stack}_{name}; then make deploy")


def check_images(missing: Mapping[str, Sequence[str]], unknown: Iterable[str], *, has_registry: bool) -> Findings:
    """`missing`: by node, the services whose image it does not have; `unknown`: nodes that cannot be asked."""
    topic = Topic("images")
    for node, services in sorted(missing.items()):
        if services:
            yield topic.warning(f"{node} has no image of {', '.join(services)}: it cannot start one", "make deploy")
    if (listed := ", ".join(sorted(unknown))) and not has_registry:
        yield topic.warning(
            f"whether {listed} has the images is not known: it would not get those of the next release",
            "its engine in SWARM_NODES, or REGISTRY",
        )
    asked = sorted(node for node, services in missing.items() if not services)
    if asked:
        yield topic.ok(f"{', '.join(asked)}: the images are there")


def check_clocks(ahead: Mapping[str, float]) -> Findings:
    """`ahead`: by node, seconds from this machine's clock to its own."""
    topic = Topic("clock")
    for node, seconds in sorted(ahead.items()):
        if abs(seconds) > CLOCKS:
            text = f"the clock of {node} is {units.duration(abs(seconds))} {'ahead' if seconds > 0 else 'slow'}"
            yield topic.warning(text, "run an NTP client on all nodes: logs, sessions and certificates depend on it")
    if ahead and all(abs(seconds) <= CLOCKS for seconds in ahead.values()):
        yield topic.ok(f"this machine and {', '.join(sorted(ahead))} agree")


def check_ports(services: Mapping[str, Mapping[str, Any]]) -> Findings:
    """`services`: by name, as `docker service inspect` prints them."""
    topic = Topic("ports")
    for name, service in services.items():
        ports = (service.get("Spec", {}).get("EndpointSpec") or {}).get("Ports") or []
        listed = ", ".join(str(port.get("PublishedPort", "")) for port in ports)
        if name == "nginx" and ports:
            yield topic.ok(f"nginx at {listed} of each of its nodes, for all who reach them: a firewall decides")
        elif name == "nginx":
            yield topic.error("nginx publishes no port", "HTTP_PORT in .env, then make deploy")
        elif ports:
            yield topic.error(f"{name} publishes {listed} on every node, past nginx", "make down, then make deploy")


def check_drift(wanted: Mapping[str, Any], running: Mapping[str, Any], name: str) -> Findings:
    """`wanted`: a service of the stack file; `running`: what `docker service inspect` prints of it."""
    topic = Topic("configuration")
    spec = running["Spec"]["TaskTemplate"]
    has = dict(each.split("=", 1) for each in spec["ContainerSpec"].get("Env") or () if "=" in each)
    wants = {key: value.replace("$$", "$") for key, value in wanted["environment"].items()}
    changed = sorted(key for key in {*has, *wants} if has.get(key, "") != wants.get(key, ""))
    files = {each["source"] for kind in ("secrets", "configs") for each in wanted.get(kind, ())}
    kept = {each["SecretName"] for each in spec["ContainerSpec"].get("Secrets") or ()}
    kept |= {each["ConfigName"] for each in spec["ContainerSpec"].get("Configs") or ()}
    if files != kept:
        changed.append("what is secret (the project's variables, or a certificate)")
    if int((spec.get("Resources", {}).get("Limits") or {}).get("MemoryBytes", 0)) != int(
        wanted["deploy"]["resources"]["limits"]["memory"].removesuffix("b")
    ):
        changed.append("its memory")
    if changed:
        yield topic.note(f"{name} runs with other values than those of .env now: {', '.join(changed)}", "make deploy")
