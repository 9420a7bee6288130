"""The releases of a project: tags of its image, which never move, and two that do.

shop-app:20261129-083400-1f2e3d4    a release: the time of its build (UTC), and the commit of the project
shop-app:live                       the last release that nginx was switched to
shop-app:latest                     what docker-compose.yml names, so that `docker compose up` starts the same
"""

import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from kit.errors import KitError
from kit.release.engine import Engine

RELEASE = re.compile(r"\d{8}-\d{6}(?:-(?P<commit>[0-9a-f]{7,40}))?(?:-changed)?")
KEPT = 5
"""Releases that stay for a rollback, beside the live one."""

LISTED = "{{.Tag}}\t{{.ID}}\t{{.Size}}"


class Image(NamedTuple):
    """The image that docker-compose.yml names."""

    repository: str
    tag: str

    @property
    def name(self) -> str:
        return f"{self.repository}:{self.tag}"

    @property
    def prefix(self) -> str:
        """Of the tags of releases. Two projects may share a repository, with a tag each."""
        return "" if self.tag == "latest" else f"{self.tag}-"

    @property
    def live(self) -> str:
        return f"{self.repository}:{self.prefix}live"

    def release(self, tag: str) -> str:
        return f"{self.repository}:{self.prefix}{tag}"

    def is_release(self, name: str) -> bool:
        tag = name.removeprefix(f"{self.repository}:{self.prefix}")
        return tag != name and RELEASE.fullmatch(tag) is not None


class Release(NamedTuple):
    tag: str
    """Without the prefix."""
    image_id: str
    size: str
    is_live: bool = False

    @property
    def time(self) -> datetime:
        """Of its build, in UTC."""
        return datetime.strptime(self.tag[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)

    @property
    def commit(self) -> str:
        """Of the project; empty if it is not known. `+` after it: with changes that were not committed."""
        matched = RELEASE.fullmatch(self.tag)
        commit = (matched and matched["commit"]) or ""
        return f"{commit}+" if commit and self.tag.endswith("-changed") else commit


def read_name(name: str) -> Image:
    """Raises KitError."""
    if "@" in name:
        raise KitError(f"APP_IMAGE={name!r}: must be a name without a digest, since releases are tags of it")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:  # none, or the port of a registry
        return Image(name, "latest")
    return Image(repository, tag)


def new_tag(now: datetime, commit: str) -> str:
    return now.astimezone(UTC).strftime("%Y%m%d-%H%M%S") + (f"-{commit}" if commit else "")


def unused_tag(engine: Engine, image: Image, commit: str) -> str:
    """For a release that is built now."""
    now = datetime.now(UTC)
    while find_id(engine, image.release(tag := new_tag(now, commit))):
        now += timedelta(seconds=1)
    return tag


def project_commit(project: Path, environment: Mapping[str, str]) -> str:
    """Of the project's folder: 1f2e3d4, or 1f2e3d4-changed; empty if it is in no repository of git."""
    git = ["git", "-C", str(project)]
    try:
        commit = _output([*git, "rev-parse", "--short=7", "HEAD"], environment).strip()
        changed = _output([*git, "status", "--porcelain", "--", "."], environment).strip()
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{commit}-changed" if changed else commit


def _output(command: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout


def find_id(engine: Engine, name: str) -> str:
    """The id of an image; empty if there is none of this name."""
    done = engine.run("image", "inspect", "--format", "{{.Id}}", name)
    return done.output.strip() if done.status == 0 else ""


def named(engine: Engine, image: Image) -> dict[str, str]:
    """The id of each image of the repository, by its whole name."""
    listed = engine.output("images", "--no-trunc", "--format", LISTED, image.repository)
    rows = [line.split("\t") for line in listed.splitlines()]
    return {f"{image.repository}:{tag}": identifier for tag, identifier, _ in rows}


def releases(engine: Engine, image: Image) -> list[Release]:
    """The newest first. Of several with the same image, which differ in their settings alone, the newest."""
    return unique(tagged(engine, image))


def unique(found: list[Release]) -> list[Release]:
    first: dict[str, Release] = {}
    for release in found:
        first.setdefault(release.image_id, release)
    return list(first.values())


def tagged(engine: Engine, image: Image) -> list[Release]:
    """Each tag of a release, the newest first."""
    listed = engine.output("images", "--no-trunc", "--format", LISTED, image.repository)
    rows = [line.split("\t") for line in listed.splitlines()]
    live = next((identifier for tag, identifier, _ in rows if tag == f"{image.prefix}live"), "")
    found = [
        Release(tag.removeprefix(image.prefix), identifier, size, identifier == live)
        for tag, identifier, size in rows
        if tag.startswith(image.prefix) and RELEASE.fullmatch(tag.removeprefix(image.prefix))
    ]
    return sorted(found, reverse=True)


def add_tag(engine: Engine, image_id: str, name: str) -> None:
    engine.output("tag", image_id, name)


def remove_tag(engine: Engine, name: str) -> None:
    """The image stays while anything else names it. No error if there is none, or if a container still has it."""
    engine.run("image", "rm", name)


def outdated(engine: Engine, image: Image) -> list[str]:
    """The names of the tags that a rollback does not need: of those past the newest, unless they are live."""
    found = tagged(engine, image)
    kept = {release.tag for at, release in enumerate(unique(found)) if at < KEPT or release.is_live}
    return [image.release(release.tag) for release in found if release.tag not in kept]
