"""NODE_BUILD: assets that npm builds, from a package.json with a build script.

The image's build runs this step by step, each in a layer of its own; `make run` builds in the project's folder, as its
developer does.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit import processes
from kit.console import step
from kit.errors import KitError
from kit.project import built_assets, node, node_stage
from kit.project.node import NodeBuild
from kit.variables import SWITCH

VARIABLE = "NODE_BUILD"

PACKAGES = "nodejs npm"
"""Debian's."""

NPM = {"NPM_CONFIG_AUDIT": "false", "NPM_CONFIG_FUND": "false", "NPM_CONFIG_UPDATE_NOTIFIER": "false"}
"""npm's settings for an installation that nobody watches."""

MANIFESTS = ("package.json", *node.NPM_LOCKS, ".npmrc")
"""What npm installs from. Nothing else is in the layer of the packages: no change of the code installs them again."""

NEVER_COPIED = ("node_modules", ".git")


def is_asked_for(value: str) -> bool:
    return SWITCH.get(value.lower(), value) not in ("", "0")


def choose(value: str, found: Sequence[NodeBuild], project: Path) -> NodeBuild | None:
    """The build that NODE_BUILD asks for: on, a folder, or a folder and a command. None if it asks for none. Raises
    KitError."""
    if not is_asked_for(value):
        return None
    folder, separator, command = value.partition(":")
    if separator and command.strip():
        if build := node.by_command(project, os.path.normpath(folder), command):
            return build
        raise KitError(f"{VARIABLE}={value!r}: {folder} must be a folder of the project with a package.json")
    if SWITCH.get(value.lower()) == "1":
        wanted = list(found)
    else:
        wanted = [one for one in found if one.folder == (os.path.normpath(value))]
    if not wanted:
        listed = ", ".join(one.folder for one in found)
        there = f"those with one are {listed}" if found else "there is none that the image gets"
        raise KitError(
            f"{VARIABLE}={value!r}: must be on, off, a folder whose package.json has a build script, or"
            f" 'FOLDER: COMMAND': {there}"
        )
    if len(wanted) > 1:
        listed = " or ".join(one.folder for one in wanted)
        raise KitError(f"{VARIABLE}={value!r}: several folders have a build script: must be {listed}")
    build = wanted[0]
    if not build.is_npms:
        raise KitError(
            f"{VARIABLE}={value!r}: {build.path(build.lock)} is not npm's, and the kit builds with npm alone: build the"
            f" assets before `make up`, with {VARIABLE}=off, or lock them for npm too (npm install --package-lock-only)"
        )
    return build


@dataclass(frozen=True, slots=True)
class Proposal:
    value: str
    comment: str
    is_needed: bool
    """Whether templates name a file that only the build makes. Otherwise its reader decides."""


def propose(found: Sequence[NodeBuild], project: Path) -> Proposal | None:
    """A line for .env; None if npm can build nothing."""
    usable = [build for build in found if build.is_npms]
    if not usable:
        return _of_dockerfile(project)
    missing = {build: built_assets.missing(build, project) for build in usable}
    build = next(filter(missing.get, usable), usable[0])
    value = "on" if len(found) == 1 else build.folder
    if file := missing[build]:
        comment = f"npm run build in {build.folder} makes {file}, which is not there. Builds it in the image"
    else:
        comment = f"{build.path('package.json')} has a build script ({build.command}). Builds its assets in the image"
    return Proposal(value, comment, is_needed=bool(file))


def _of_dockerfile(project: Path) -> Proposal | None:
    """What the project's own Dockerfile runs, if templates name a file that only this makes."""
    command, origin = node_stage.find(project)
    for build in node.without_script(project) if command else ():
        if file := built_assets.missing(build, project):
            comment = f"The command of {origin} makes {file}, which is not there. Runs it in the image's build"
            return Proposal(f"{build.folder}: {command}", comment, is_needed=True)
    return None


def note(value: str, found: Sequence[NodeBuild], project: Path) -> str:
    """What to say about builds that nobody has decided about; "" if there is none."""
    if value:
        return ""
    if not found:
        missing = {build: built_assets.missing(build, project) for build in node.without_script(project)}
        return next((_unknown(build, file) for build, file in missing.items() if file), "")
    listed = ", ".join(f"{one.path('package.json')} ({one.command})" for one in found)
    value = "on" if len(found) == 1 else found[0].folder
    return (
        f"A build script is not run: {listed}. To build its assets, put {VARIABLE}={value} into .env; off: say no more"
    )


def _unknown(build: NodeBuild, file: str) -> str:
    return (
        f"Nothing makes {file}, which is not there, and {build.path('package.json')} has no script `build`: put"
        f" {VARIABLE}='{build.folder}: COMMAND' into .env, with the command that does; off: say no more"
    )


# --- Steps of the image's build


def copy_manifests(build: NodeBuild, project: Path, target: Path) -> None:
    """Copies what npm installs from: of workspaces, too."""
    for path in _files(project / build.folder):
        if path.name in MANIFESTS:
            place = target / path.relative_to(project)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def install(build: NodeBuild, project: Path, environment: Mapping[str, str]) -> None:
    """Installs the packages, without the scripts of the project itself, which may need its code."""
    command = ["npm", "ci" if build.lock else "install", "--include=dev"]
    if build.has_own_scripts:
        command.append("--ignore-scripts")
    step(f"{' '.join(command)} in {build.folder}")
    _npm(command, build, project, environment)


def run(build: NodeBuild, project: Path, environment: Mapping[str, str]) -> None:
    if build.has_own_scripts:
        _npm(["npm", "rebuild"], build, project, environment)
    variables = {"NODE_ENV": "production", **environment}
    if build.is_script:
        step(f"npm run build in {build.folder}: {build.command}")
        _npm(["npm", "run", "build"], build, project, variables)
        return
    step(f"In {build.folder}: {build.command}")
    tools = project / build.folder / "node_modules/.bin"
    variables["PATH"] = f"{tools}{os.pathsep}{environment.get('PATH', os.defpath)}"
    _npm(["sh", "-c", build.command], build, project, variables)


def run_and_copy(build: NodeBuild, project: Path, environment: Mapping[str, str], target: Path) -> None:
    """`run`, and copies the files of the project that are new or changed then."""
    before = {path: _state(path) for path in _files(project)}
    run(build, project, environment)
    changed = [path for path in _files(project) if before.get(path) != _state(path)]
    if not changed:
        raise KitError(f"{build.command}, in {build.folder}, has written nothing into the project")
    for path in changed:
        place = target / path.relative_to(project)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place, follow_symlinks=False)
    step(f"{len(changed)} files built")


def _npm(command: Sequence[str], build: NodeBuild, project: Path, environment: Mapping[str, str]) -> None:
    processes.require(command, {**NPM, **environment}, folder=project / build.folder)


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in NEVER_COPIED)
        yield from (Path(place, name) for name in sorted(names))


def _state(path: Path) -> tuple[int, int, int]:
    status = path.lstat()
    return status.st_ino, status.st_size, status.st_mtime_ns


# --- make run


def build_locally(build: NodeBuild, project: Path, environment: Mapping[str, str]) -> None:
    """In the project's folder: packages that are there stay as they are. Raises KitError without npm."""
    if shutil.which("npm", path=environment.get("PATH")) is None:
        raise KitError(
            f"{VARIABLE} asks for {build.path('package.json')}, but npm is not installed; {VARIABLE}=off goes without"
        )
    if build.has_packages and not (project / build.folder / "node_modules").is_dir():
        install(build, project, environment)
    run(build, project, environment)
