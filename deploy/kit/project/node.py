"""A package.json with a build script: assets that npm makes."""

from dataclasses import dataclass
from pathlib import Path

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

    @property
    def is_npms(self) -> bool:
        """Whether npm can build it: there is no lock of another program."""
        return self.lock in ("", *NPM_LOCKS)

    def path(self, name: str) -> str:
        """A file of the folder, relative to the project."""
        return f"{self.folder}/{name}".removeprefix("./")


def find(folder: Path) -> tuple[NodeBuild, ...]:
    found = []
    for place in folders(folder, DEPTH):
        path = place / "package.json"
        if path.is_file():
            table = read_json(path, relative(path, folder))
            scripts = table.get("scripts", {})
            if isinstance(scripts, dict) and scripts.get("build"):
                lock = next((name for name in LOCKS if (place / name).is_file()), "")
                found.append(
                    NodeBuild(
                        relative(place, folder),
                        " ".join(str(scripts["build"]).split()),
                        lock,
                        has_own_scripts=not OWN_SCRIPTS.isdisjoint(scripts),
                        has_packages=bool(table.get("dependencies") or table.get("devDependencies")),
                    )
                )
    return tuple(found)
