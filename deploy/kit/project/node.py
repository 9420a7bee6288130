"""A package.json with a build script: assets that npm makes."""

from dataclasses import dataclass
from pathlib import Path

from kit.project.reading import folders, read_json, relative

DEPTH = 2


@dataclass(frozen=True, slots=True)
class NodeBuild:
    folder: str
    """Relative to the project."""
    command: str
    lock: str
    """The lock that is there; "" for none."""


def find(folder: Path) -> tuple[NodeBuild, ...]:
    found = []
    for place in folders(folder, DEPTH):
        path = place / "package.json"
        if path.is_file():
            script = read_json(path, relative(path, folder)).get("scripts", {}).get("build")
            if script:
                names = ("package-lock.json", "yarn.lock", "pnpm-lock.yaml")
                lock = next((name for name in names if (place / name).is_file()), "")
                found.append(NodeBuild(relative(place, folder), str(script), lock))
    return tuple(found)
