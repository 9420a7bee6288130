"""Findings about the containers, from what `docker inspect` says of them."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kit import failures, units
from kit.containers import Container
from kit.doctor.findings import Finding, Findings, Topic
from kit.logs.records import read_time

NEEDED = ("nginx", "app")
RECREATED = re.compile(r"Container (\S+)\s+Recreate\b")
MEMORY_OF = {
    "app": "APP_MEMORY",
    "release": "APP_MEMORY",
    "nginx": "NGINX_MEMORY",
    "worker": "WORKER_MEMORY",
    "scheduler": "WORKER_MEMORY",
    "cron": "CRON_MEMORY",
    "postgres": "POSTGRES_MEMORY",
    "redis": "REDIS_MEMORY",
    "monitor": "MONITOR_MEMORY",
}
"""The variable for the limit of each service."""
ANY_ADDRESS = ("0.0.0.0", "::", "")


def check_states(found: Sequence[Container], now: datetime) -> Findings:
    topic = Topic("containers")
    problems = [finding for container in found for finding in _state(topic, container, now)]
    running = [container for container in found if container.is_running]
    for service in NEEDED:
        if not any(container.service == service for container in running):
            problems.append(topic.error(f"no container of {service} runs", "make up"))
    yield from problems
    if not problems:
        counts: dict[str, int] = {}
        for container in running:
            counts[container.service] = counts.get(container.service, 0) + 1
        text = ", ".join(service if count == 1 else f"{count} {service}" for service, count in sorted(counts.items()))
        yield topic.ok(f"{text}: running and healthy")


def check_uptime(found: Sequence[Container], now: datetime) -> Findings:
    """Of each service, that of the container which was started last: a restart shows."""
    shortest: dict[str, float] = {}
    for container in found:
        started = started_at(container)
        if container.is_running and started:
            seconds = max((now - started).total_seconds(), 0)
            shortest[container.service] = min(seconds, shortest.get(container.service, seconds))
    if shortest:
        text = ", ".join(f"{service} for {units.duration(shortest[service])}" for service in sorted(shortest))
        yield Topic("uptime").ok(f"running: {text}")


def started_at(container: Container) -> datetime | None:
    return read_time(str(container.inspected["State"].get("StartedAt") or ""))


def _state(topic: Topic, container: Container, now: datetime) -> Findings:
    known = failures.read_container(container.inspected)
    name, logs = container.name, f"make logs SERVICE={container.service}"
    state = container.inspected["State"]
    if state.get("OOMKilled"):
        yield topic.error(
            f"{name} was killed for lack of memory", f"raise {memory_variable(container.service)} in .env"
        )
    if container.state == "restarting":
        yield topic.error(f"{name} restarts again and again, exit status {known.exit_status}", logs)
    elif container.state == "exited" and known.exit_status and not state.get("OOMKilled"):
        yield topic.error(f"{name} has ended with exit status {known.exit_status}", f"{logs}, then make up")
    elif container.is_running and container.health == "unhealthy":
        yield topic.error(f"{name} is unhealthy: {known.last_check}", logs)
    elif container.is_running and container.health == "starting":
        yield topic.note(f"{name} is starting")
    restarts = int(container.inspected.get("RestartCount") or 0)
    if restarts and container.state != "restarting":
        started = started_at(container)
        last = f", last {units.duration(max((now - started).total_seconds(), 0))} ago" if started else ""
        times = "once" if restarts == 1 else f"{restarts} times"
        yield topic.warning(f"{name} has been restarted {times} after it ended by itself{last}", logs)


def memory_variable(service: str) -> str:
    return MEMORY_OF.get(service, "the memory limit")


def check_errors(log: str) -> Findings:
    """`log`: the end of the application's."""
    topic = Topic("errors")
    found = failures.known_reasons(log)
    for reason in found:
        what, _, mend = reason.partition(": ")
        yield topic.error(what, mend or "see make logs SERVICE=app")
    if not found:
        yield topic.ok("none in the application's log that comes from the kit's settings")


def check_ports(found: Sequence[Container], *, public: bool, where: str = "this machine") -> Findings:
    """`where`: the engine's machine, for people."""
    topic = Topic("ports")
    published = [
        (container.service, inside, binding.get("HostIp", ""), binding.get("HostPort", ""))
        for container in found
        if container.is_running
        for inside, bindings in ((container.inspected.get("NetworkSettings") or {}).get("Ports") or {}).items()
        for binding in bindings or ()
    ]
    for service, inside, address, port in published:
        if service == "monitor":
            yield _monitor_port(topic, address, port, where)
        elif service != "nginx":
            who = "everybody" if address in ANY_ADDRESS else address
            text = f"{service} publishes {inside.partition('/')[0]} at port {port} for {who}, past nginx"
            mend = "remove its ports from docker-compose.override.yml, then make up"
            yield topic.error(text, mend) if address in ANY_ADDRESS else topic.note(text, mend)
    ports = sorted({f"{port} ({address})" for service, _, address, port in published if service == "nginx"})
    if ports:
        reach = "other machines reach the site" if public else f"only {where} reaches the site"
        yield topic.ok(f"nginx at {', '.join(ports)}: {reach}")
    elif published or found:
        yield topic.note("nginx publishes no port", "HTTP_ADDRESS and HTTP_PORT in .env, then make up")


def _monitor_port(topic: Topic, address: str, port: str, where: str) -> Finding:
    if address in ("127.0.0.1", "::1"):
        return topic.ok(f"monitor at {port} ({address}): only {where} reaches it")
    who = "everybody" if address in ANY_ADDRESS else address
    text = f"the monitor is at {port} for {who}, and it has no password"
    mend = "remove MONITOR_ADDRESS from .env, then make up; ssh -L 9090:127.0.0.1:9090 from your machine"
    return topic.error(text, mend) if address in ANY_ADDRESS else topic.warning(text, mend)


def check_drift(found: Sequence[Container], output: str) -> Findings:
    """`output`: what `docker compose --dry-run up` would do to the application and nginx."""
    topic = Topic("configuration")
    if not any(container.is_running for container in found):
        yield topic.note("not checked: no container runs")
        return
    names = set(RECREATED.findall(output))
    changed = sorted({container.service for container in found if container.name in names})
    if changed:
        yield topic.note(
            f"{', '.join(changed)}: .env, a compose file or the image has changed since the start", "make up"
        )
    else:
        yield topic.ok("the containers run with what .env and the compose files say")


def check_descriptors(inside: Mapping[str, Any], nginx_limit: int) -> Findings:
    topic = Topic("descriptors")
    problems = []
    for worker in inside["workers"]:
        if worker["most_descriptors"] and worker["descriptors"] > 0.8 * worker["most_descriptors"]:
            problems.append(
                topic.warning(
                    f"worker {worker['pid']} uses {worker['descriptors']} of {worker['most_descriptors']} descriptors",
                    "more workers (WEB_CONCURRENCY), or look for files that are never closed: make manage, lsof",
                )
            )
    for who, limit in (("the application", inside["descriptors"]), ("nginx", nginx_limit)):
        if 0 < limit < 4096:
            problems.append(
                topic.warning(f"{who} may open only {limit} files", "raise the engine's default-ulimits, then make up")
            )
    yield from problems
    if not problems:
        most = max((worker["descriptors"] for worker in inside["workers"]), default=0)
        yield topic.ok(f"{most} of {inside['descriptors']} in use by the busiest worker")


def check_memory(inside: Mapping[str, Any], limits: Sequence[int], host: int) -> Findings:
    """`limits`: of the memory of each running container, octets; `host`: the machine's, 0 if it is not known."""
    topic = Topic("memory")
    problems = []
    memory, workers = inside["memory"], inside["workers"]
    if memory["killed"]:
        problems.append(
            topic.error(
                f"{memory['killed']} processes of the application were killed for lack of memory",
                "raise APP_MEMORY in .env or lower WEB_CONCURRENCY, then make up",
            )
        )
    room = next((folder["size"] for folder in inside["folders"] if folder["path"] == "/tmp"), 0)
    largest = max((worker["memory"] for worker in workers), default=0)
    # one worker more during a reload; the room for bodies counts as memory when it is used
    needed = sum(worker["memory"] for worker in workers) + largest + room
    if memory["limit"] and needed > memory["limit"]:
        problems.append(
            topic.warning(
                f"{len(workers)} workers, one more during a reload, and BODY_ROOM may need {units.size(needed)}"
                f" of {units.size(memory['limit'])}",
                "raise APP_MEMORY or lower WEB_CONCURRENCY or BODY_ROOM in .env, then make up",
            )
        )
    if host and sum(limits) > host:
        problems.append(
            topic.warning(
                f"the containers may use {units.size(sum(limits))}, the machine has {units.size(host)}",
                "lower APP_MEMORY and NGINX_MEMORY in .env, or the number of containers",
            )
        )
    yield from problems
    if not problems:
        count = "1 worker uses" if len(workers) == 1 else f"{len(workers)} workers use"
        text = f"{count} {units.size(sum(worker['memory'] for worker in workers))}"
        of = f"; the limit is {units.size(memory['limit'])}" if memory["limit"] else "; there is no limit"
        yield topic.ok(text + of)
