"""This compose project's containers, as the engine knows them: by their labels, without a file of the checkout."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kit import compose
from kit.errors import KitError
from kit.paths import ROOT

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"
"""Of a container of `docker compose run`, such as the release that a deploy runs."""

BUILT = ("app", "nginx", "acme", "postgres", "redis", "backup", "monitor")
"""The services that have an image of the kit's; the others have the application's."""

TIMEOUT = 60  # seconds for a question to the engine


class Container(NamedTuple):
    identifier: str
    name: str
    service: str
    state: str
    """running, exited, restarting, created, ..."""
    health: str
    """healthy, unhealthy, starting, or empty without a health check."""
    inspected: Mapping[str, Any]
    """All that `docker inspect` says."""

    @property
    def is_running(self) -> bool:
        return self.state == "running"


def call(
    words: Sequence[str], environment: Mapping[str, str], *, timeout: float = TIMEOUT, sent: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """docker with these arguments, to its end, in the checkout; `sent` is its standard input.

    Raises KitError if there is no answer.
    """
    try:
        return subprocess.run(
            ["docker", *words],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=timeout,
            **({"stdin": subprocess.DEVNULL} if sent is None else {"input": sent}),
        )
    except FileNotFoundError:
        raise KitError("docker is not installed") from None
    except subprocess.TimeoutExpired:
        raise KitError(f"docker {words[0]}: no answer within {timeout:.0f} s") from None


def output(
    words: Sequence[str], environment: Mapping[str, str], *, timeout: float = TIMEOUT, sent: str | None = None
) -> str:
    """The standard output of `call`. Raises KitError for another exit status than 0, with docker's own last line."""
    done = call(words, environment, timeout=timeout, sent=sent)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise KitError(f"docker {words[0]}: {said[-1]}")
    return done.stdout


def of_project(name: str, environment: Mapping[str, str]) -> list[Container]:
    """Those of every service, also the ones that have ended, in the order of their names. Raises KitError."""
    found = output(["ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={PROJECT}={name}"], environment)
    if not (identifiers := found.split()):
        return []
    return read(json.loads(output(["inspect", *identifiers], environment)))


def find(identifier: str, environment: Mapping[str, str]) -> list[Container]:
    """The container with this ID; none if it is gone."""
    try:
        return read(json.loads(output(["inspect", "--type", "container", identifier], environment)))
    except KitError:
        return []


def read(inspected: Sequence[Mapping[str, Any]], label: str = SERVICE, prefix: str = "") -> list[Container]:
    """From what `docker inspect` prints; without containers that belong to no service.

    `label` names the service, after `prefix`.
    """
    containers = []
    for each in inspected:
        labels = each["Config"].get("Labels") or {}
        state = each["State"]
        if labels.get(label):
            containers.append(
                Container(
                    identifier=each["Id"],
                    name=str(each.get("Name", "")).lstrip("/"),
                    service=labels[label].removeprefix(prefix),
                    state=state["Status"],
                    health=(state.get("Health") or {}).get("Status", ""),
                    inspected=each,
                )
            )
    return sorted(containers, key=lambda container: container.name)


def application(environment: Mapping[str, str]) -> Container:
    """A running container of the application, a healthy one if there is one. Raises KitError if none runs."""
    name = compose.project_name(environment)
    running = [each for each in of_project(name, environment) if each.service == "app" and each.is_running]
    if not running:
        raise KitError(f"no container of the application runs (compose project {name}): make up starts it")
    return min(running, key=lambda container: container.health != "healthy")
