"""When INIT_COMMAND, the project's command that creates its database, may run: once, and while no database has tables.

Such a command may drop what is there. So it does not run if any SQLite file has a table, if it has run before (the file
DATA_DIR/.initialized says so), or if the database is on a server, of which nothing is known here.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

MARKER = ".initialized"
MAGIC = b"SQLite format 3\x00"
DEPTH = 4
"""Files are looked for in so many folders within each other."""
PASSED_OVER = {"node_modules", "site-packages", "__pycache__"}


def reason_against(
    folders: Iterable[Path], data: Path, environment: Mapping[str, str], answer: Mapping[str, Any]
) -> str:
    """Why INIT_COMMAND must not run now, in one line; "" if it may. `folders` are those that hold databases."""
    if (data / MARKER).exists():
        return "it has run before"
    if server := _server(environment, answer):
        return (
            f"the database is on a server ({server}), and may have data. If it is empty, run the command once yourself"
        )
    full = next((path for folder in folders for path in databases(folder) if has_tables(path)), None)
    return f"{full} has tables already" if full else ""


def _server(environment: Mapping[str, str], answer: Mapping[str, Any]) -> str:
    """The kind of a database that is not a file; "" if there is none."""
    engines = [str(each.get("engine", "")) for each in answer.get("databases") or ()]
    if scheme := environment.get("DATABASE_URL", "").partition(":")[0].partition("+")[0]:
        engines.append(scheme)
    return next((engine for engine in engines if not engine.startswith(("sqlite", "spatialite", "dummy"))), "")


def databases(folder: Path) -> Iterator[Path]:
    """The SQLite files in the folder and below it, also through links."""
    level = [folder]
    for _ in range(DEPTH + 1):
        entries = [path for place in level for path in _entries(place)]
        yield from (path for path in entries if _is_database(path))
        level = [path for path in entries if path.is_dir() and not _is_passed_over(path)]


def _is_passed_over(path: Path) -> bool:
    return path.name in PASSED_OVER or path.name.startswith(".") or (path / "pyvenv.cfg").exists()


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_database(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def has_tables(path: Path) -> bool:
    """Also true of a file that cannot be read: nobody knows what would be lost."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as connection:
            counted = connection.execute("SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
            return bool(counted.fetchone()[0])
    except sqlite3.Error:
        return True


def remember(data: Path) -> None:
    """Raises OSError."""
    descriptor = os.open(data / MARKER, os.O_CREAT | os.O_WRONLY, 0o640)
    os.close(descriptor)
