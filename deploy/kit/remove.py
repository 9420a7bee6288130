"""`make remove`: everything that the kit has made for a project in the engine. It asks first, and says what is lost.

By the names and labels of the compose project alone: another project, what compose has not made, the checkout's files,
and the build cache, which all projects share, stay.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kit import backups, compose, containers, env_files
from kit.console import step
from kit.errors import KitError
from kit.paths import ROOT

REMOVE_TIMEOUT = 600  # seconds: large volumes on a slow disk
DATA = {
    "data": "the database and the files of the project",
    "media": "uploads",
    "postgres": "the database of PostgreSQL",
    "redis": "the data of Redis",
    "backups": "the backups of the schedule",
    "acme": "the certificate's account",
    "tls": "the certificate",
}
"""Volumes of which nothing else has the content. The others are made again by `make up`."""

EMPTY = "0B"
"""As docker prints the size of an empty volume."""

SERVICES = ("app", "nginx", "acme", "postgres", "redis", "backup")
"""Those with an image of their own."""


class Things(NamedTuple):
    """What there is of a project in the engine."""

    containers: list[str]
    volumes: list[str]
    networks: list[str]
    images: list[str]
    """Names with their tags."""

    def __str__(self) -> str:
        counts = [(len(getattr(self, kind)), kind) for kind in self._fields]
        return ", ".join(f"{count} {kind if count != 1 else kind[:-1]}" for count, kind in counts if count)


def remove(environment: Mapping[str, str], root: Path = ROOT) -> int:
    """Returns the exit status. Raises KitError."""
    name, prepared, model = _project(environment, root)
    _check_owner(name, prepared, root)
    found = find(name, _repositories(name, model), prepared)
    if not any(found):
        step(f"There is nothing of {name} in the engine")
        return 0
    for line in lost(name, found, prepared, root):
        step(line)
    confirm(name, found, environment)
    failed = [*_remove(found, prepared)]
    for line in failed:
        step(line)
    if not failed:
        step(f"Removed: {found}")
    step(f"Kept: the project's folder, .env, {env_files.PROJECT_FILE}, {backups.FOLDER}/, and the build cache")
    return 1 if failed else 0


def _project(environment: Mapping[str, str], root: Path) -> tuple[str, Mapping[str, str], Mapping[str, Any]]:
    """The compose project's name, and its model, which is empty if the project's folder has gone."""
    try:
        prepared = compose.prepare(environment, root)
        model = json.loads(containers.output(["compose", "--profile", "*", "config", "--format", "json"], prepared))
    except KitError:
        compose.check_docker(environment)
        name = env_files.read_kit(environment, root).get("COMPOSE_PROJECT_NAME", "")
        if not name:
            raise
        return name, environment, {}
    return str(model["name"]), prepared, model


def _check_owner(name: str, prepared: Mapping[str, str], root: Path) -> None:
    for each in compose.list_containers(prepared):
        if each.project == name and each.folder and Path(each.folder).resolve() != root:
            raise KitError(f"the compose project {name} belongs to {each.folder}: call make remove there")


def _repositories(name: str, model: Mapping[str, Any]) -> list[str]:
    """Of the images that are built here."""
    services = model.get("services") or {}
    built = {service.get("image") for service in services.values() if "build" in service}
    return sorted(filter(None, built)) or [f"{name}-{service}" for service in SERVICES]


def find(name: str, images: Sequence[str], environment: Mapping[str, str]) -> Things:
    def listed(*words: str) -> list[str]:
        return containers.output([*words, "--filter", f"label={containers.PROJECT}={name}"], environment).split()

    return Things(
        [*listed("ps", "--all", "--quiet", "--no-trunc"), *_deployment(name, environment)],
        sorted(listed("volume", "ls", "--quiet")),
        listed("network", "ls", "--quiet"),
        sorted({tag for image in images for tag in _tags(image, environment)}),
    )


def _deployment(name: str, environment: Mapping[str, str]) -> Iterator[str]:
    """The containers that are a lock or a journal of a deployment that was killed."""
    listed = containers.output(["ps", "--all", "--format", "{{.Names}}"], environment).split()
    yield from (each for each in listed if re.fullmatch(rf"{re.escape(name)}-deployment(?:-\w+)?", each))


def _tags(image: str, environment: Mapping[str, str]) -> list[str]:
    """Of the image and its releases. Two projects may share a repository, with a tag each."""
    repository, _, tag = image.rpartition(":") if re.search(r":[^/]+$", image) else (image, "", "latest")
    listed = containers.output(["images", "--format", "{{.Repository}}:{{.Tag}}", repository], environment).split()
    if tag == "latest":
        return [each for each in listed if not each.endswith(":<none>")]
    return [each for each in listed if re.fullmatch(rf"{re.escape(repository)}:{re.escape(tag)}(-.*)?", each)]


def lost(name: str, found: Things, environment: Mapping[str, str], root: Path) -> Iterator[str]:
    """What is removed for good, and what would save it."""
    yield f"Of {name}, this removes {found}"
    sizes = _sizes(environment) if found.volumes else {}
    has_data = False
    for volume in found.volumes:
        what = DATA.get(volume.removeprefix(f"{name}_"))
        if what and sizes.get(volume) != EMPTY:
            has_data = True
            size = f", {sizes[volume]}" if sizes.get(volume) else ""
            yield f"Lost for good: {what} ({volume}{size})"
    if has_data:
        newest = backups.newest(root / backups.FOLDER, name)
        yield (
            f"The newest backup here: {newest.name}"
            if newest
            else "There is no backup here. make backup saves the data"
        )


def _sizes(environment: Mapping[str, str]) -> dict[str, str]:
    """Of the volumes; empty if the engine does not say: to measure them may take long."""
    try:
        said = containers.output(["system", "df", "--verbose", "--format", "{{json .Volumes}}"], environment)
        return {each["Name"]: each["Size"] for each in json.loads(said)}
    except (KitError, ValueError, KeyError, TypeError):
        return {}


def confirm(name: str, found: Things, environment: Mapping[str, str]) -> None:
    """Raises KitError unless the user agrees."""
    if environment.get("FORCE") == "1":
        return
    if not sys.stdin.isatty():
        raise KitError(f"nothing was removed. To remove {found} without being asked: make remove FORCE=1")
    if input(f"Type {name} to remove all of it: ").strip() != name:
        raise KitError("nothing was removed")


def _remove(found: Things, environment: Mapping[str, str]) -> Iterator[str]:
    """A line for each that could not be removed."""
    steps = (
        (["rm", "--force", "--volumes"], found.containers),
        (["volume", "rm"], found.volumes),
        (["network", "rm"], found.networks),
        (["image", "rm"], found.images),
    )
    for words, names in steps:
        if names:
            done = containers.call([*words, *names], environment, timeout=REMOVE_TIMEOUT)
            for line in done.stderr.splitlines() if done.returncode else ():
                yield f"Not removed: {line.removeprefix('Error response from daemon: ')}"
