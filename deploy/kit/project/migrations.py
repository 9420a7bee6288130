"""Alembic's migrations of a project: where they are configured, and the command that applies them."""

from dataclasses import dataclass
from pathlib import Path

from kit.project import ini
from kit.project.reading import relative

FILES = ("alembic.ini", *ini.FILES)
"""Alembic's own file, and those of Pyramid, in which it is a section."""


@dataclass(frozen=True, slots=True)
class Migrations:
    command: str
    """Runs in the folder of the application."""
    origin: str


def find(folder: Path, root: Path) -> Migrations | None:
    if is_flask_migrate(root):
        return None
    for name in FILES:
        path = root / name
        place = _script_location(path)
        if place is not None and (root / place / "env.py").is_file():
            option = "" if name == FILES[0] else f"-c {name} "
            return Migrations(f"alembic {option}upgrade head", relative(path, folder))
    return None


def is_flask_migrate(root: Path) -> bool:
    """Whether `flask db upgrade` is the command: the release runs it by itself."""
    return (root / "migrations/env.py").is_file() and (root / "migrations/alembic.ini").is_file()


def _script_location(path: Path) -> str | None:
    """The folder of the migrations, relative to the file's; None if the file names none, or one of a package's."""
    parser = ini.read(path)
    place = parser.get("alembic", "script_location", fallback="") if parser else ""
    place = place.replace("%(here)s/", "").strip()
    package, colon, inner = place.partition(":")
    return (f"{package.replace('.', '/')}/{inner}" if colon else place) or None
