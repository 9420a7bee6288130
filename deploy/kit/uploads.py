"""Uploads that were made during development: files in a project's folder for uploads that git does not know.

The image would get them, and a volume that is empty a copy. They belong to a database that stays on the developer's
machine, as databases are left out of images. Files that git knows are a part of the project.
"""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kit import dotenv, image_files, units
from kit.project.facts import Project

VARIABLE = "IMAGE_EXCLUDE"
MOST_PATTERNS = 12


class Uploads(NamedTuple):
    folder: Path
    """Relative to the project."""
    files: int
    size: int
    """Octets."""
    patterns: tuple[str, ...]
    """For IMAGE_EXCLUDE: what leaves these files out; empty if that would be too many."""
    is_known: bool
    """Whether git has said that they are none of the project's. Otherwise nobody knows."""

    def __str__(self) -> str:
        return f"{self.folder} ({self.files} {'file' if self.files == 1 else 'files'}, {units.size(self.size)})"


def find(project: Project, values: Mapping[str, str]) -> list[Uploads]:
    """Those that the image would get. Raises KitError."""
    folders = project.upload_folders
    if not folders:
        return []
    selection = image_files.select(project.folder, values.get("IMAGE_INCLUDE", ""), values.get(VARIABLE, ""))
    kept = [Path(entry.path) for entry in selection.entries() if not entry.rule]
    found = []
    for folder in folders:
        files = [path for path in kept if path.is_relative_to(folder) and (project.folder / path).is_file()]
        tracked = _git(project.folder, "ls-files", "-z", "--", str(folder))
        new = files if tracked is None else [path for path in files if str(path) not in tracked]
        if new:
            size = sum((project.folder / path).stat().st_size for path in new)
            patterns = (str(folder),) if len(new) == len(files) else _patterns(project.folder, folder)
            found.append(Uploads(folder, len(new), size, tuple(map(_escaped, patterns)), tracked is not None))
    return found


def _patterns(project: Path, folder: Path) -> tuple[str, ...]:
    """The files that git does not know, and the folders with nothing else."""
    others = _git(project, "ls-files", "--others", "--directory", "-z", "--", str(folder)) or ()
    return tuple(sorted(name.rstrip("/") for name in others)) if len(others) <= MOST_PATTERNS else ()


def _escaped(name: str) -> str:
    """As a pattern without spaces."""
    return "".join("?" if char.isspace() or char in "*[]\\" else char for char in name)


def _git(folder: Path, *arguments: str) -> set[str] | None:
    """Names relative to the folder; None if it is in no repository, or if there is no git."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return {name for name in done.stdout.decode(errors="surrogateescape").split("\0") if name}


def lines(found: Sequence[Uploads]) -> Iterator[tuple[str, str, str, str, bool]]:
    """The line of .env that leaves them out, as make adopt writes it; a proposal if nobody knows what they are."""
    patterns = " ".join(pattern for each in found for pattern in each.patterns)
    listed = ", ".join(map(str, found))
    if patterns and all(each.is_known for each in found):
        comment = f"Uploads made during development, which git does not know, are left out of the image: {listed}"
        yield VARIABLE, patterns, comment, "", False
    elif patterns:
        comment = f"Files for uploads, which the image gets: {listed}. If they were made during development,"
        yield VARIABLE, patterns, f"{comment} leave them out with {VARIABLE} in .env", "", True


def note(found: Uploads) -> str:
    """What `make up` says of files that the image gets."""
    origin = " and git does not know" if found.is_known else ""
    way = f". {VARIABLE}={dotenv.quote(' '.join(found.patterns))} in .env leaves them out" if found.patterns else ""
    return f"Files for uploads that the image gets{origin}: {found}; copied into the volume while that is empty{way}"
