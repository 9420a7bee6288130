"""A package.json with a build script, or with another command that builds: assets that npm makes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kit.project.reading import folders, read_json, relative

DEPTH = 2

NPM_LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
LOCKS = (*NPM_LOCKS, "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb")
"""Those of others are used by their own programs alone."""

OWN_SCRIPTS = frozenset(("preinstall", "install", "postinstall", "prepare"))
"""Scripts that npm runs when it installs the packages of the project."""


@dataclass(frozen=True, slots=True)
class NodeBuild:
    folder: str
    """Relative to the project."""
    command: str
    lock: str
    """The lock that is there; "" for none."""
    has_own_scripts: bool = False
    """Whether the project itself runs something when its packages are installed."""
    has_packages: bool = True
    """Whether it needs packages at all."""
    is_script: bool = True
    """Whether the command is that of the script `build`."""

    @property
    def is_npms(self) -> bool:
        """Whether npm can build it: there is no lock of another program."""
        return self.lock in ("", *NPM_LOCKS)

    def path(self, name: str) -> str:
        """A file of the folder, relative to the project."""
        return f"{self.folder}/{name}".removeprefix("./")


def find(folder: Path) -> tuple[NodeBuild, ...]:
    """Those with a script `build`."""
    found = []
    for place, table in _manifests(folder):
        scripts = table.get("scripts", {})
        if isinstance(scripts, dict) and scripts.get("build"):
            lock = next((name for name in LOCKS if (place / name).is_file()), "")
            found.append(_described(place, folder, table, str(scripts["build"]), lock))
    return tuple(found)


def without_script(folder: Path) -> Iterator[NodeBuild]:
    """Those without one, whose command is not known."""
    for place, table in _manifests(folder):
        scripts = table.get("scripts", {})
        if not (isinstance(scripts, dict) and scripts.get("build")):
            yield with_command(place, folder, table, "")


def by_command(folder: Path, place: str, command: str) -> NodeBuild | None:
    """None if the place, relative to the project, has no package.json."""
    tables = {relative(path, folder): (path, table) for path, table in _manifests(folder)}
    found = tables.get(place)
    return with_command(found[0], folder, found[1], command) if found else None


def with_command(place: Path, folder: Path, table: dict[str, Any], command: str) -> NodeBuild:
    """npm installs what package.json lists: another program's lock is not used."""
    lock = next((name for name in NPM_LOCKS if (place / name).is_file()), "")
    return replace(_described(place, folder, table, command, lock), is_script=False)


def _manifests(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for place in folders(folder, DEPTH):
        path = place / "package.json"
        if path.is_file():
            yield place, read_json(path, relative(path, folder))


def _described(place: Path, folder: Path, table: dict[str, Any], command: str, lock: str) -> NodeBuild:
    scripts = table.get("scripts", {})
    return NodeBuild(
        relative(place, folder),
        " ".join(command.split()),
        lock,
        has_own_scripts=isinstance(scripts, dict) and not OWN_SCRIPTS.isdisjoint(scripts),
        has_packages=bool(table.get("dependencies") or table.get("devDependencies")),
    )
