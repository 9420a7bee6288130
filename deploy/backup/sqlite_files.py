"""SQLite databases among the files: a copy of one that is being written to has to be made by SQLite."""

import contextlib
import sqlite3
from pathlib import Path

from backup.errors import BackupError

MAGIC = b"SQLite format 3\0"
BESIDE = ("-wal", "-shm", "-journal")
"""Of the names of files that SQLite keeps beside a database; its backup contains what they have."""
PATIENCE = 60.0  # seconds to wait for another writer


def is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def is_beside(path: Path) -> bool:
    """Whether the file belongs to a database that is saved."""
    for suffix in BESIDE:
        if path.name.endswith(suffix):
            return is_database(path.with_name(path.name.removesuffix(suffix)))
    return False


def copy(path: Path, target: Path) -> None:
    """As it was at one moment. Raises BackupError."""
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{quoted(path)}?mode=rw", uri=True, timeout=PATIENCE)) as source,
            contextlib.closing(sqlite3.connect(target)) as destination,
        ):
            source.backup(destination)
            destination.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise BackupError(f"{path}: {error}") from None
    target.chmod(path.stat().st_mode & 0o777)


def quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def count(path: Path) -> dict[str, int]:
    """The rows of each table. Raises BackupError if the database is damaged."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quoted(path)}?mode=ro", uri=True)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise BackupError(f"{path.name} is damaged: {found}")
            query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            tables = [name for (name,) in connection.execute(query)]
            # the names are the database's own
            counted = {}
            for name in tables:
                quoted_name = name.replace('"', '""')
                try:
                    counted[name] = connection.execute(f'SELECT count(*) FROM "{quoted_name}"').fetchone()[0]
                except sqlite3.OperationalError:
                    continue  # a virtual table of an extension that is not here
            return counted
    except sqlite3.Error as error:
        raise BackupError(f"{path.name}: {error}") from None
