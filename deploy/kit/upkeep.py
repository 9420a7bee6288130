"""`make prune` and `make update`: the disk, and the packages of the images.

Nothing here touches another project's images, and the releases that `make rollback` can go to are the deployment's.
"""

import json
import re
from collections.abc import Iterable, Mapping

from kit import compose, containers, env_files
from kit.console import step
from kit.containers import Container
from kit.errors import KitError
from kit.paths import ROOT
from kit.release import run

LABEL = f"label={containers.PROJECT}"
RECLAIMED = re.compile(r"^Total reclaimed space: (.+)$", re.MULTILINE)
PRUNE_TIMEOUT = 600  # seconds: many images on a slow disk
SHOWN = 12
"""Packages of an update that are listed by name."""
ASK_PACKAGES = ("--entrypoint", "dpkg-query")


def prune(environment: Mapping[str, str]) -> int:
    prepared = compose.prepare(environment)
    project = compose.project_name(prepared)
    mine = f"{LABEL}={project}"
    ended = _prune(["container", "prune"], [mine, f"label={containers.ONE_OFF}=True"], prepared)
    step(f"Containers of single commands: {removed(ended)}")
    # dangling alone: what has a tag is a release, or what runs
    step(f"Images that have no name any more: {removed(_prune(['image', 'prune'], [mine], prepared))}")
    step(f"Networks that nothing is on: {removed(_prune(['network', 'prune'], [mine], prepared))}")
    try:
        cache = cache_size(containers.output(["system", "df", "--format", "{{json .}}"], prepared))
    except KitError as error:  # all is removed; some engines lose track of their cache
        step(f"The size of the build cache is not known: {error}")
        return 0
    if cache:
        step(f"Kept: the build cache, which all projects share: {cache}. To remove all of it: docker builder prune")
    return 0


def _prune(words: list[str], filters: list[str], environment: Mapping[str, str]) -> str:
    options = [f"--filter={each}" for each in filters]
    return containers.output([*words, "--force", *options], environment, timeout=PRUNE_TIMEOUT)


def removed(output: str) -> str:
    """In words: how many, and how much that frees. Of images, docker lists layers and names too."""
    lines = [line for line in output.splitlines() if line.strip() and not line.endswith(":")]
    images = [line for line in lines if line.startswith("deleted: ")]
    others = [line for line in lines if not line.startswith(("deleted: ", "untagged: ", "Total "))]
    freed = RECLAIMED.search(output)
    count = len(others) or len(images)
    if not count:
        return "none to remove"
    if images and not others and freed and freed[1] == "0B":
        return f"{count} removed, which frees nothing: the build cache has the same layers"
    what = f"{count} {'layers ' if images and not others else ''}removed"
    return f"{what}, {freed[1]} freed" if freed else what


def cache_size(output: str) -> str:
    """Of the build cache, from `docker system df` with one JSON object a line; empty if it is not listed."""
    for line in output.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row.get("Type") == "Build Cache":
            return str(row.get("Size", ""))
    return ""


def update(environment: Mapping[str, str]) -> int:
    """The build takes nothing from the cache, so that apt installs what is newest; then it goes the way of `up`."""
    prepared = compose.prepare(environment)
    project = compose.project_name(prepared)
    base = env_files.read_kit(environment).get("BASE_IMAGE") or default_base()
    options = ["--no-cache"]
    if is_pinned(base):
        step(f"BASE_IMAGE is pinned to a digest: the base stays, and the packages on it are updated: {base}")
    elif is_from_registry(base, prepared):
        options.append("--pull")
    else:
        step(f"The base image {base} was made on this machine: it stays, and the packages on it are updated")
    before = packages(containers.of_project(project, prepared), prepared)
    status = run.call("update", environment, run.Options(build_options=tuple(options)))
    if status == 0:
        after = packages(containers.of_project(project, prepared), prepared)
        for line in differences(before, after):
            step(line)
    return status


def default_base() -> str:
    found = re.search(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def is_pinned(base: str) -> bool:
    return "@sha256:" in base


def is_from_registry(base: str, environment: Mapping[str, str]) -> bool:
    """Whether a registry has it: it came from one, or is not here at all."""
    done = containers.call(["image", "inspect", "--format", "{{json .RepoDigests}}", base], environment)
    return done.returncode != 0 or done.stdout.strip() not in ("[]", "null", "")


def packages(found: Iterable[Container], environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Of the image of each running service: Debian's packages and their versions."""
    images = {
        each.service: each.inspected["Image"] for each in found if each.is_running and each.service in containers.BUILT
    }
    return {service: _installed(image, environment) for service, image in images.items()}


def _installed(image: str, environment: Mapping[str, str]) -> dict[str, str]:
    words = [
        "run",
        "--rm",
        "--pull=never",
        "--network=none",
        *ASK_PACKAGES,
        image,
        "-W",
        "-f",
        "${Package} ${Version}\\n",
    ]
    try:
        said = containers.output(words, environment)
    except KitError:  # not Debian's, or without dpkg
        return {}
    return dict(line.split(" ", 1) for line in said.splitlines() if " " in line)


def differences(before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A line for each service that runs on other packages now."""
    lines = []
    for service, now in sorted(after.items()):
        was = before.get(service, {})
        changed = [f"{name} {was[name]} → {now[name]}" for name in sorted(now) if was.get(name, now[name]) != now[name]]
        if changed:
            more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
            lines.append(f"{service}: {', '.join(changed[:SHOWN])}{more}")
    return lines or ["No package is newer than before"]
