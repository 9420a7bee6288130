"""The folder with the backups: their names, and which are kept."""

import contextlib
import fcntl
import re
from collections.abc import Iterator
from pathlib import Path

from backup.errors import BackupError, UsageError
from backup.settings import Settings

STAMP = "%Y%m%d-%H%M%S"
NAMES = re.compile(r"(?P<project>.+)-(?P<stamp>[0-9]{8}-[0-9]{6})\.tar\.gz(\.age|\.gpg)?")


def backups(settings: Settings) -> list[Path]:
    """Those of the project, the oldest first."""
    found = []
    for path in settings.folder.iterdir():
        match = NAMES.fullmatch(path.name)
        if match and match["project"] == settings.project:
            found.append((match["stamp"], path))
    return [path for _, path in sorted(found)]


def find(name: str, settings: Settings) -> Path:
    """A backup by its name, or the newest. Raises UsageError."""
    known = backups(settings)
    if not name:
        if not known:
            raise UsageError("there is no backup yet")
        return known[-1]
    path = settings.folder / name
    if "/" in name or not path.is_file():
        names = ", ".join(each.name for each in known[-5:]) or "none"
        raise UsageError(f"{name!r}: there is no such backup; the newest: {names}")
    return path


def remove_old(settings: Settings) -> list[Path]:
    """Removes all but the newest that are kept; returns what was removed."""
    removed = backups(settings)[: -settings.keep] if settings.keep else []
    for path in removed:
        path.unlink()
    return removed


@contextlib.contextmanager
def lock(settings: Settings) -> Iterator[None]:
    """Raises BackupError if another backup is written, checked or restored at the moment."""
    try:
        file = (settings.folder / ".lock").open("a")
    except PermissionError:
        raise BackupError(f"{settings.folder} cannot be written by uid 10001: chown 10001 it") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError("another backup is being written, checked or restored: try again later") from None
        yield
